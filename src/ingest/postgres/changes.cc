// Change data capture by logical replication. A slot keeps the write-ahead log until it is confirmed, so
// nothing is lost while Belfry is away; what is confirmed is what is committed here. A slot that is gone,
// or that somebody else has moved on, is an alarm: it is never made anew in silence.
//
// The position: how far in the log everything is taken, and how much of the transaction after it, because
// a large one is committed here in several batches.

#include <boost/json/serialize.hpp>

#include "ingest/pg_output.h"
#include "ingest/postgres/connection.h"
#include "ingest/postgres/drivers.h"
#include "ingest/read_json.h"

namespace belfry::ingest::postgres {
namespace json = boost::json;

namespace {

constexpr Duration kStatusInterval{5'000};
constexpr Duration kPositionInterval{10'000};

struct Place {
  std::string system;  // identifier of the cluster
  std::int64_t timeline = 0;
  Lsn lsn = 0;             // up to here everything is taken
  Lsn partial = 0;         // commit of the transaction after it of which a part is taken; 0: none
  std::int64_t taken = 0;  // so many of its changes

  std::string text() const {
    json::object out{{"system", system}, {"timeline", timeline}, {"lsn", format_lsn(lsn)}};
    if (partial != 0) out["partial"] = format_lsn(partial), out["taken"] = taken;
    return json::serialize(out);
  }
  static Result<Place> parse(const std::string& text) {
    const json::value value = TRY(read_json(text));
    const auto number_of = [&](std::string_view name) {
      const auto* number = member(value, name);
      return number != nullptr && number->is_int64() ? number->get_int64() : 0;
    };
    const auto lsn = parse_lsn(member_text(value, "lsn"));
    if (!lsn) return fail(Code::source_gap, "The stored position is not one of a replication.");
    return Place{member_text(value, "system"), number_of("timeline"), *lsn,
                 parse_lsn(member_text(value, "partial")).value_or(0), number_of("taken")};
  }
};

void append_number(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

class Changes {
 public:
  Changes(SourceContext& context, Connection connection)
      : context_(context), connection_(std::move(connection)) {
    const std::string name = "belfry_" + context.config().name;
    slot_ = context.config().text("slot").empty() ? name : context.config().text("slot");
    publication_ =
        context.config().text("publication").empty() ? name : context.config().text("publication");
    for (char& c : slot_)  // slots have small letters, digits and _ only
      c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }

  Result<void> start();
  Result<void> run();

 private:
  Result<void> begin_anew(const Rows& slot);
  Result<void> check_slot(const Rows& slot) const;
  Result<void> ensure_publication();
  Result<void> on_message(std::string_view bytes);
  Result<void> on_keepalive(Lsn end, bool reply);
  Result<void> on_item(PgItem item, Lsn at);
  bool is_taken();  // of the next change
  void add(const json::object& record, Lsn at);
  json::object common(std::string_view operation) const;
  void on_change(const PgChange& change);
  Result<void> on_commit(const PgCommit& commit);
  Result<void> take();
  Result<void> send_status();

  SourceContext& context_;
  Connection connection_;
  std::string slot_, publication_;
  PgOutput output_;
  const Mapping bodies_ = Mapping::publish_body("value");
  Place place_;  // committed
  SourceBatch batch_;
  std::optional<PgBegin> transaction_;
  Lsn ended_ = 0;             // of the last whole transaction in the batch
  std::int64_t counted_ = 0;  // changes of the transaction so far
  Lsn seen_ = 0;              // end of the server's log
  Instant told_, stored_;
};

Result<void> Changes::ensure_publication() {
  const Rows known = TRY(connection_.query("SELECT 1 FROM pg_publication WHERE pubname = " +
                                           connection_.literal(publication_)));
  if (known.size() > 0) return {};
  std::string tables;
  for (const std::string& table : context_.config().list("tables"))
    tables += (tables.empty() ? " FOR TABLE " : ", ") + connection_.quoted_table(table);
  return connection_.execute("CREATE PUBLICATION " + connection_.quoted(publication_) + tables);
}

Result<void> Changes::begin_anew(const Rows& slot) {
  TRY(ensure_publication());
  // One whose log is lost cannot be read from any place.
  const bool lost = slot.size() > 0 && slot.text(0, 1) == "lost";
  if (lost) TRY(connection_.execute("DROP_REPLICATION_SLOT " + connection_.quoted(slot_)));
  if (slot.size() > 0 && !lost) {
    place_.lsn = parse_lsn(slot.text(0, 0)).value_or(0);
  } else {
    const Rows made = TRY(connection_.query("CREATE_REPLICATION_SLOT " + connection_.quoted(slot_) +
                                            " LOGICAL pgoutput NOEXPORT_SNAPSHOT"));
    const auto lsn = parse_lsn(made.text(0, 1));
    if (!lsn) return fail(Code::source_failed, "The server made a slot without a place.");
    place_.lsn = *lsn;
    log_info("replication begins", {{"source", context_.config().name}, {"slot", slot_}});
  }
  return take();
}

Result<void> Changes::check_slot(const Rows& slot) const {
  if (slot.size() == 0)
    return fail(Code::source_gap, "The replication slot " + slot_ + " is gone; what happened since " +
                                      format_lsn(place_.lsn) + " cannot be told.");
  if (slot.text(0, 1) == "lost")
    return fail(Code::source_gap, "The server has removed log that the slot " + slot_ + " still needed.");
  const Lsn confirmed = parse_lsn(slot.text(0, 0)).value_or(0);
  if (confirmed > place_.lsn)
    return fail(Code::source_gap, "The slot was read up to " + format_lsn(confirmed) +
                                      ", by somebody else or "
                                      "before Belfry was restored; here it is " +
                                      format_lsn(place_.lsn) + ".");
  return {};
}

Result<void> Changes::start() {
  const Rows system = TRY(connection_.query("IDENTIFY_SYSTEM"));
  const std::string id(system.text(0, 0));
  const std::int64_t timeline = system.number(0, 1);
  const Lsn head = parse_lsn(system.text(0, 2)).value_or(0);
  const Rows slot =
      TRY(connection_.query("SELECT confirmed_flush_lsn::text, coalesce(wal_status, '') FROM "
                            "pg_replication_slots WHERE slot_name = " +
                            connection_.literal(slot_)));
  const std::string stored = context_.position();
  if (stored.empty()) {
    place_.system = id;
    place_.timeline = timeline;
    TRY(begin_anew(slot));
  } else {
    place_ = TRY(Place::parse(stored));
    if (place_.system != id)
      return fail(Code::source_ahead, "This is another database than the one that was read.");
    if (place_.timeline != timeline)
      return fail(Code::source_gap, "The database went over to timeline " + std::to_string(timeline) +
                                        "; " + std::to_string(place_.timeline) + " was read.");
    if (place_.lsn > head)
      return fail(Code::source_ahead, "The database is at " + format_lsn(head) + ", it was read up to " +
                                          format_lsn(place_.lsn) + ".");
    TRY(check_slot(slot));
  }
  ended_ = place_.lsn;
  return connection_.execute("START_REPLICATION SLOT " + connection_.quoted(slot_) + " LOGICAL " +
                             format_lsn(place_.lsn) + " (proto_version '1', publication_names " +
                             connection_.literal(connection_.quoted(publication_)) + ", messages 'true')");
}

Result<void> Changes::run() {
  context_.running();
  told_ = stored_ = context_.clock().now();
  while (!context_.stopping()) {
    const auto message = TRY(connection_.copied());
    if (message) {
      TRY(on_message(*message));
      if (batch_.full()) TRY(take());
      continue;
    }
    if (!batch_.empty() || ended_ > place_.lsn) {
      // Whole transactions at once; a part of one waits for the rest, which is on its way.
      if (!transaction_ || batch_.full()) TRY(take());
    }
    if (context_.clock().now() - told_ >= kStatusInterval) TRY(send_status());
    (void)context_.wait(connection_.socket(), false, limits::source_poll);
  }
  return {};
}

Result<void> Changes::on_message(std::string_view bytes) {
  const auto number = [&bytes](std::size_t at) {
    std::uint64_t out = 0;
    for (std::size_t i = at; i < at + 8; ++i) out = out << 8 | static_cast<unsigned char>(bytes[i]);
    return out;
  };
  constexpr std::size_t kHead = 25;  // w, start, end, clock
  if (bytes.size() >= 18 && bytes[0] == 'k') return on_keepalive(number(1), bytes[17] != 0);
  if (bytes.size() < kHead || bytes[0] != 'w')
    return fail(Code::source_failed, "A replication message is malformed.");
  seen_ = std::max(seen_, number(9));
  const Lsn at = number(1);
  return on_item(TRY(output_.decode(bytes.substr(kHead))), at);
}

// Nothing of ours lies before `end`: the position may follow, so that the server can let its log go.
Result<void> Changes::on_keepalive(Lsn end, bool reply) {
  seen_ = std::max(seen_, end);
  if (!transaction_ && batch_.empty() && end > ended_) {
    ended_ = end;
    if (context_.clock().now() - stored_ >= kPositionInterval) TRY(take());
  }
  return reply ? send_status() : Result<void>();
}

json::object Changes::common(std::string_view operation) const {
  json::object out{{"op", operation}};
  if (transaction_) {
    out["lsn"] = format_lsn(transaction_->commit);
    out["xid"] = transaction_->xid;
    out["time"] = format_rfc3339(transaction_->time);
  }
  return out;
}

// What was taken already of a transaction that is sent again is passed over.
bool Changes::is_taken() {
  ++counted_;
  return transaction_ && transaction_->commit == place_.partial && counted_ <= place_.taken;
}

void Changes::add(const json::object& record, Lsn at) {
  if (!is_taken()) context_.map(batch_, json::value(record), format_lsn(at));
}

void Changes::on_change(const PgChange& change) {
  json::object record = common(change.operation);
  record["schema"] = change.schema;
  record["table"] = change.table;
  record["id"] = change.id;
  if (change.before) record["before"] = *change.before;
  if (change.after) record["after"] = *change.after;
  record["row"] = change.after ? *change.after : *change.before;
  add(record, transaction_ ? transaction_->commit : 0);
}

Result<void> Changes::on_item(PgItem item, Lsn at) {
  if (const auto* begin = std::get_if<PgBegin>(&item)) {
    transaction_ = *begin;
    counted_ = 0;
  } else if (const auto* commit = std::get_if<PgCommit>(&item)) {
    return on_commit(*commit);
  } else if (const auto* change = std::get_if<PgChange>(&item)) {
    on_change(*change);
  } else if (const auto* truncate = std::get_if<PgTruncate>(&item)) {
    for (const auto& [schema, table] : truncate->tables) {
      json::object record = common("truncate");
      record["schema"] = schema;
      record["table"] = table;
      record["id"] = "*";
      add(record, at);
    }
  } else if (const auto* message = std::get_if<PgMessage>(&item)) {
    if (message->prefix != context_.config().text("message_prefix")) return {};
    if (is_taken()) return {};
    const auto body = read_json(message->content);
    const std::string position = format_lsn(message->lsn);
    body ? context_.map(batch_, json::value(json::object{{"value", body.value()}}), position, bodies_)
         : context_.bury(batch_, message->content, position, body.error());
    if (!message->transactional) ended_ = std::max(ended_, message->lsn);  // it is that of its end
  }
  return {};
}

Result<void> Changes::on_commit(const PgCommit& commit) {
  transaction_.reset();
  counted_ = 0;
  ended_ = std::max(ended_, commit.end);
  return {};
}

// Commits what is in the batch with the place after it, then tells the server.
Result<void> Changes::take() {
  Place after = place_;
  after.lsn = std::max(place_.lsn, ended_);
  after.partial = transaction_ ? transaction_->commit : 0;
  after.taken = transaction_ ? counted_ : 0;
  batch_.positions.emplace_back("", after.text());
  TRY(context_.commit(std::exchange(batch_, {})));
  place_ = after;
  stored_ = context_.clock().now();
  if (seen_ != 0) TRY(send_status());
  return {};
}

Result<void> Changes::send_status() {
  std::string message = "r";
  for (int i = 0; i < 3; ++i) append_number(message, place_.lsn);  // written, flushed, applied
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(context_.clock().wall().value);
  append_number(message, static_cast<std::uint64_t>(now.count() - 946'684'800'000'000));
  message += '\0';
  told_ = context_.clock().now();
  context_.set_lag(seen_ > place_.lsn ? seen_ - place_.lsn : 0, "bytes");
  return connection_.send_copy(message);
}

}  // namespace

Result<void> run_changes(SourceContext& context) {
  Changes changes(context, TRY(Connection::open(context, true)));
  TRY(changes.start());
  return changes.run();
}

}  // namespace belfry::ingest::postgres
