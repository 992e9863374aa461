#include "store/sqlite/sqlite_reader.h"

#include <algorithm>

namespace belfry::sqlite {
namespace {

constexpr std::size_t kNamesScannedMax = limits::page_topics_max * 16;
constexpr std::size_t kFloorsScannedMax = 4096;

// Everything before the first wildcard segment, without the '/' before it, so that "a/#" finds "a" too.
std::string literal_prefix(const std::string& pattern) {
  const auto wildcard = pattern.find_first_of("+#");
  return pattern.substr(0, wildcard == 0 ? 0 : wildcard - 1);
}

bool wanted(const PageRequest& request, const Event& event) {
  return std::any_of(request.selectors.begin(), request.selectors.end(),
                     [&](const Selector& selector) { return accepts(selector, event); });
}

// Adds the event unless the page is full; then the page ends before it.
bool add(Page& page, Event event, const PageRequest& request, std::size_t& bytes, Offset ends_before) {
  bytes += event.bytes();
  const bool full = page.events.size() >= request.events_max || bytes > request.bytes_max;
  if (full && !page.events.empty()) {
    page.upto = ends_before;
    return false;
  }
  page.events.push_back(std::move(event));
  return true;
}

}  // namespace

Result<std::unique_ptr<StoreReader>> SqliteReader::open(const std::string& path, const std::string& vfs,
                                                        EpochTable epochs) {
  std::unique_ptr<SqliteReader> reader(new SqliteReader(std::move(epochs)));
  reader->database_ = TRY(Database::open(path, SQLITE_OPEN_READONLY, vfs));
  // Only the writer checkpoints: SQLite 3.40 has a WAL-reset defect that a second checkpointer can meet.
  sqlite3_db_config(reader->database_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  TRY(reader->database_.execute(
      "PRAGMA query_only = 1; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 0"));
  TRY(reader->prepare());
  return std::unique_ptr<StoreReader>(std::move(reader));
}

Result<void> SqliteReader::prepare() {
  const std::string events = "SELECT " + std::string(event_columns) +
                             " FROM events e JOIN topics t ON t.id = e.topic WHERE e.offset ";
  select_indexed_ = TRY(database_.prepare("SELECT value FROM meta WHERE name = 'indexed'"));
  select_topic_ = TRY(database_.prepare("SELECT id, floor FROM topics WHERE name = ?"));
  select_range_ = TRY(
      database_.prepare("SELECT id, floor, name FROM topics WHERE name >= ? AND name < ? ORDER BY name"));
  select_offsets_ = TRY(
      database_.prepare("SELECT rowid FROM topic_offsets WHERE topic_offsets MATCH ? AND rowid > max(?, " +
                        std::string(trimmed_sql) + ") AND rowid <= ? ORDER BY rowid LIMIT ?"));
  select_event_ = TRY(database_.prepare(events + "= ?"));
  select_log_ = TRY(database_.prepare(events + "> ? AND e.offset <= ? ORDER BY e.offset LIMIT ?"));
  select_floors_ = TRY(database_.prepare(
      "SELECT name, floor FROM topics WHERE floor > ? AND floor > 0 ORDER BY floor DESC LIMIT ?"));
  return feed_rows_.prepare(database_);
}

Result<Page> SqliteReader::read(const PageRequest& request) {
  TRY(database_.execute("BEGIN"));
  auto page = read_in_transaction(request);
  if (auto ended = database_.execute("COMMIT"); !ended && page) return std::move(ended).error();
  return page;
}

Result<void> SqliteReader::snapshot(const std::function<Result<void>(FeedRows&)>& ask) {
  TRY(database_.execute("BEGIN"));
  auto asked = ask(feed_rows_);
  if (auto ended = database_.execute("COMMIT"); !ended && asked) return ended;
  return asked;
}

Result<Page> SqliteReader::read_follows(const PageRequest& request) {
  Page page;
  page.upto = request.after;
  page.floor = TRY(feed_rows_.floor(user_topic(request.follows_of)));
  UserRows rows = TRY(feed_rows_.user(request.follows_of));
  for (auto& follow : rows.follows)
    if (follow.holds(request.after)) page.follows.push_back(std::move(follow.topic));
  page.mutes = std::move(rows.mutes);
  page.rows_read = rows.follows.size() + 2;
  return page;
}

Result<Page> SqliteReader::read_in_transaction(const PageRequest& request) {
  if (!request.follows_of.empty()) return read_follows(request);
  const Offset indexed = TRY(read_indexed(select_indexed_));
  Page page;
  page.upto = std::max(indexed, request.after);
  const Resolved resolved = TRY(resolve(request.selectors, page));
  if (resolved.too_many) {
    page.floor = TRY(floor_of_matching(request));
    return scan(request, indexed, std::move(page));
  }
  for (const Topic& topic : resolved.topics) page.floor = std::max(page.floor, topic.floor);
  return read_topics(request, resolved, indexed, std::move(page));
}

Result<SqliteReader::Resolved> SqliteReader::resolve(const std::vector<Selector>& selectors, Page& page) {
  Resolved resolved;
  for (const auto& selector : selectors) {
    if (has_wildcard(selector.topic)) {
      TRY(resolve_pattern(selector.topic, resolved, page));
      if (resolved.too_many) return resolved;
      continue;
    }
    const ResetAtEnd end(select_topic_);
    ++page.rows_read;
    if (TRY(select_topic_.bind(1, std::string_view(selector.topic)).step()))
      resolved.topics.push_back({select_topic_.integer(0), to_unsigned(select_topic_.integer(1))});
  }
  auto& topics = resolved.topics;
  std::sort(topics.begin(), topics.end(), [](const Topic& a, const Topic& b) { return a.id < b.id; });
  topics.erase(std::unique(topics.begin(), topics.end(),
                           [](const Topic& a, const Topic& b) { return a.id == b.id; }),
               topics.end());
  return resolved;
}

Result<void> SqliteReader::resolve_pattern(const std::string& pattern, Resolved& resolved, Page& page) {
  const std::string from = literal_prefix(pattern);
  const std::string to = from + "\x7f";  // topics are ASCII without DEL
  const ResetAtEnd end(select_range_);
  select_range_.bind(1, std::string_view(from)).bind(2, std::string_view(to));
  std::size_t scanned = 0;
  while (TRY(select_range_.step())) {
    ++page.rows_read;
    if (++scanned > kNamesScannedMax || resolved.topics.size() > limits::page_topics_max) {
      resolved.too_many = true;
      return {};
    }
    if (matches(pattern, select_range_.text(2)))
      resolved.topics.push_back({select_range_.integer(0), to_unsigned(select_range_.integer(1))});
  }
  return {};
}

// The offsets of all topics, merged by FTS5: only rows of these topics are looked at.
Result<Page> SqliteReader::read_topics(const PageRequest& request, const Resolved& resolved, Offset indexed,
                                       Page page) {
  if (resolved.topics.empty()) return page;
  const std::size_t limit = request.events_max + 1;
  std::string any;
  for (const Topic& topic : resolved.topics) any += (any.empty() ? "" : " OR ") + std::to_string(topic.id);
  std::vector<Offset> offsets;
  {
    const ResetAtEnd end(select_offsets_);
    select_offsets_.bind(1, std::string_view(any))
        .bind(2, to_signed(request.after))
        .bind(3, to_signed(indexed))
        .bind(4, to_signed(limit));
    while (TRY(select_offsets_.step())) offsets.push_back(to_unsigned(select_offsets_.integer(0)));
  }
  page.rows_read += offsets.size();
  // With `limit` offsets there may be more behind the last one.
  if (offsets.size() >= limit) page.upto = offsets.back();
  std::size_t bytes = 0;
  for (const Offset offset : offsets) {
    const ResetAtEnd end(select_event_);
    if (!TRY(select_event_.bind(1, to_signed(offset)).step())) continue;
    Event event = event_of_row(select_event_, epochs_);
    if (wanted(request, event) && !add(page, std::move(event), request, bytes, offset - 1)) break;
  }
  return page;
}

Result<Page> SqliteReader::scan(const PageRequest& request, Offset indexed, Page page) {
  const ResetAtEnd end(select_log_);
  select_log_.bind(1, to_signed(request.after)).bind(2, to_signed(indexed));
  select_log_.bind(3, to_signed(limits::page_scan_rows_max));
  std::size_t rows = 0;
  std::size_t bytes = 0;
  Offset last = request.after;
  while (TRY(select_log_.step())) {
    ++rows;
    Event event = event_of_row(select_log_, epochs_);
    last = event.offset;
    if (!wanted(request, event) || add(page, std::move(event), request, bytes, last - 1)) continue;
    page.rows_read += rows;
    return page;
  }
  page.rows_read += rows;
  if (rows == limits::page_scan_rows_max) page.upto = last;
  return page;
}

Result<Offset> SqliteReader::floor_of_matching(const PageRequest& request) {
  const ResetAtEnd end(select_floors_);
  select_floors_.bind(1, to_signed(request.after)).bind(2, to_signed(kFloorsScannedMax));
  std::size_t rows = 0;
  while (TRY(select_floors_.step())) {
    const std::string name = select_floors_.text(0);
    const bool matched =
        std::any_of(request.selectors.begin(), request.selectors.end(),
                    [&](const Selector& selector) { return matches(selector.topic, name); });
    // Beyond the bound it is not known, and loss is rather told once too often.
    if (matched || ++rows == kFloorsScannedMax) return to_unsigned(select_floors_.integer(1));
  }
  return Offset{0};
}

Result<std::vector<Event>> SqliteReader::read_log(Offset after, Offset upto, std::size_t rows_max) {
  const ResetAtEnd end(select_log_);
  select_log_.bind(1, to_signed(after)).bind(2, to_signed(upto)).bind(3, to_signed(rows_max));
  std::vector<Event> rows;
  while (TRY(select_log_.step())) rows.push_back(event_of_row(select_log_, epochs_));
  return rows;
}

}  // namespace belfry::sqlite
