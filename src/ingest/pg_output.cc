#include "ingest/pg_output.h"

#include <boost/json/parse.hpp>
#include <charconv>
#include <cmath>

#include "ingest/path.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

constexpr std::size_t kColumnsMax = 1664;           // PostgreSQL's own bound
constexpr std::int64_t kEpochMs = 946'684'800'000;  // 2000-01-01, from where PostgreSQL counts

Error malformed() { return fail(Code::source_failed, "A replication message is malformed."); }

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return {};
  return number;
}

}  // namespace

std::string format_lsn(Lsn lsn) {
  char text[32];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn >> 32), static_cast<unsigned>(lsn));
  return text;
}

std::optional<Lsn> parse_lsn(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {};
  const auto half = [](std::string_view part) -> std::optional<std::uint32_t> {
    std::uint32_t number = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), number, 16);
    if (part.empty() || parsed.ec != std::errc{} || parsed.ptr != part.data() + part.size()) return {};
    return number;
  };
  const auto high = half(text.substr(0, slash)), low = half(text.substr(slash + 1));
  if (!high || !low) return {};
  return (Lsn{*high} << 32) | *low;
}

json::value column_value(std::uint32_t type, std::string_view text) {
  constexpr std::uint32_t kBool = 16, kInt8 = 20, kInt2 = 21, kInt4 = 23, kJson = 114, kFloat4 = 700,
                          kFloat8 = 701, kJsonb = 3802;
  if (type == kBool && (text == "t" || text == "f")) return json::value(text == "t");
  if (type == kInt2 || type == kInt4 || type == kInt8)
    if (const auto number = number_of<std::int64_t>(text)) return json::value(*number);
  if (type == kFloat4 || type == kFloat8)
    if (const auto number = number_of<double>(text); number && std::isfinite(*number))
      return json::value(*number);
  if (type == kJson || type == kJsonb) {
    json::parse_options options;
    options.max_depth = limits::json_depth_max;
    boost::system::error_code failed;
    auto value = json::parse(text, failed, {}, options);
    if (!failed) return value;
  }
  if (!is_utf8(text)) return json::value("hex:" + to_hex(text));
  return json::value(text);
}

// Big-endian numbers and texts that end with a zero; nothing is read past the end.
class PgOutput::Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  Number number() {
    if (bytes_.size() < sizeof(Number)) return broken<Number>();
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) out = out << 8 | static_cast<unsigned char>(bytes_[i]);
    bytes_.remove_prefix(sizeof(Number));
    return static_cast<Number>(out);
  }
  char letter() { return static_cast<char>(number<std::uint8_t>()); }
  std::string_view bytes(std::size_t count) {
    if (count > bytes_.size()) return broken<std::string_view>();
    const auto out = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return out;
  }
  std::string text() {
    const auto end = bytes_.find('\0');
    if (end == std::string_view::npos) return broken<std::string>();
    std::string out(bytes_.substr(0, end));
    bytes_.remove_prefix(end + 1);
    return out;
  }
  bool good() const { return good_; }

 private:
  template <class Value>
  Value broken() {
    good_ = false;
    bytes_ = {};
    return {};
  }

  std::string_view bytes_;
  bool good_ = true;
};

Result<PgItem> PgOutput::decode(std::string_view bytes) {
  Reader reader(bytes);
  PgItem item;
  switch (const char kind = reader.letter()) {
    case 'B': {
      PgBegin begin;
      begin.commit = reader.number<std::uint64_t>();
      begin.time = Timestamp{Duration{kEpochMs + reader.number<std::int64_t>() / 1000}};
      begin.xid = reader.number<std::uint32_t>();
      item = begin;
      break;
    }
    case 'C': {
      PgCommit commit;
      (void)reader.number<std::uint8_t>();
      commit.commit = reader.number<std::uint64_t>();
      commit.end = reader.number<std::uint64_t>();
      item = commit;
      break;
    }
    case 'R':
      return relation(reader);
    case 'I':
    case 'U':
    case 'D':
      return change(reader, kind);
    case 'T':
      return truncation(reader);
    case 'M': {
      PgMessage message;
      message.transactional = (reader.number<std::uint8_t>() & 1) != 0;
      message.lsn = reader.number<std::uint64_t>();
      message.prefix = reader.text();
      message.content = reader.bytes(reader.number<std::uint32_t>());
      item = std::move(message);
      break;
    }
    case 'O':
    case 'Y':
      return item;
    default:
      return malformed();
  }
  if (!reader.good()) return malformed();
  return item;
}

Result<PgItem> PgOutput::relation(Reader& reader) {
  const auto id = reader.number<std::uint32_t>();
  Relation relation;
  relation.schema = reader.text();
  relation.table = reader.text();
  relation.identity = reader.letter();
  const std::size_t count = reader.number<std::uint16_t>();
  if (count > kColumnsMax) return malformed();
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    Column column;
    column.key = (reader.number<std::uint8_t>() & 1) != 0;
    column.name = reader.text();
    column.type = reader.number<std::uint32_t>();
    (void)reader.number<std::uint32_t>();
    relation.columns.push_back(std::move(column));
  }
  if (!reader.good()) return malformed();
  if (!is_utf8(relation.schema) || !is_utf8(relation.table)) return malformed();
  if (relations_.size() >= limits::source_relations_max) relations_.clear();
  relations_.insert_or_assign(id, std::move(relation));
  return PgItem{};
}

Result<json::object> PgOutput::tuple(Reader& reader, const Relation& relation, bool only_key) const {
  json::object out;
  const std::size_t count = reader.number<std::uint16_t>();
  if (count != relation.columns.size()) return malformed();
  for (const Column& column : relation.columns) {
    const char kind = reader.letter();
    const std::string_view text =
        kind == 't' ? reader.bytes(reader.number<std::uint32_t>()) : std::string_view();
    if (!reader.good() || !is_utf8(column.name)) return malformed();
    if (kind == 'u') continue;  // a large value that did not change is not sent
    if (only_key && !column.key) continue;
    if (kind == 't') {
      out[column.name] = column_value(column.type, text);
    } else if (kind == 'n') {
      out[column.name] = nullptr;
    } else {
      return malformed();
    }
  }
  return out;
}

// With REPLICA IDENTITY FULL every column counts as part of the key; then it is `id`, or the first one.
std::string PgOutput::id_of(const Relation& relation, const json::object& row) {
  std::string out;
  for (const Column& column : relation.columns) {
    if (!column.key || relation.identity == 'f') continue;
    const auto* value = row.if_contains(column.name);
    if (value != nullptr && !value->is_null()) out += (out.empty() ? "" : ",") + text_of(*value);
  }
  if (!out.empty() || relation.columns.empty()) return out;
  const auto* value = row.if_contains("id");
  if (value == nullptr) value = row.if_contains(relation.columns.front().name);
  return value == nullptr || value->is_null() ? std::string() : text_of(*value);
}

Result<PgItem> PgOutput::change(Reader& reader, char kind) {
  const auto found = relations_.find(reader.number<std::uint32_t>());
  if (found == relations_.end()) return malformed();
  const Relation& relation = found->second;
  PgChange out;
  out.operation = kind == 'I' ? "insert" : kind == 'U' ? "update" : "delete";
  out.schema = relation.schema;
  out.table = relation.table;
  char part = reader.letter();
  if (part == 'K' || part == 'O') {
    out.before = TRY(tuple(reader, relation, part == 'K'));
    part = kind == 'D' ? '\0' : reader.letter();
  }
  if (kind != 'D') {
    if (part != 'N') return malformed();
    out.after = TRY(tuple(reader, relation, false));
    // What was not sent because it did not change is known from before, if all of that is sent.
    if (out.before)
      for (const auto& member : *out.before)
        if (!out.after->contains(member.key())) (*out.after)[member.key()] = member.value();
  }
  if (!reader.good() || (!out.before && !out.after)) return malformed();
  out.id = id_of(relation, out.after ? *out.after : *out.before);
  return PgItem{std::move(out)};
}

Result<PgItem> PgOutput::truncation(Reader& reader) {
  const std::size_t count = reader.number<std::uint32_t>();
  (void)reader.number<std::uint8_t>();
  PgTruncate out;
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    const auto found = relations_.find(reader.number<std::uint32_t>());
    if (found == relations_.end()) return malformed();
    out.tables.emplace_back(found->second.schema, found->second.table);
  }
  if (!reader.good()) return malformed();
  return PgItem{std::move(out)};
}

}  // namespace belfry::ingest
