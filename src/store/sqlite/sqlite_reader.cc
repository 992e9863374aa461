#include "store/sqlite/sqlite_reader.h"

#include <algorithm>

namespace belfry::sqlite {
namespace {

constexpr std::size_t kNamesScannedMax = limits::page_topics_max * 16;
constexpr std::size_t kFloorsScannedMax = 4096;

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
      "PRAGMA query_only = 1; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; "
      "PRAGMA wal_autocheckpoint = 0"));
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
  select_forgotten_ = TRY(database_.prepare(forgotten_sql));
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
  page.floor = std::max(TRY(feed_rows_.floor(user_topic(request.follows_of))),
                        TRY(forgotten_above(request.after)));
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
  page.floor = TRY(forgotten_above(request.after));
  PageFilter filter(request);
  const Resolved resolved = TRY(resolve(filter.topics(), page));
  if (resolved.too_many) {
    page.floor = std::max(page.floor, TRY(floor_of_matching(filter, page)));
    return scan(filter, indexed, std::move(page));
  }
  for (const Topic& topic : resolved.topics) page.floor = std::max(page.floor, topic.floor);
  return read_topics(filter, resolved, indexed, std::move(page));
}

// The topics of all selectors. Each name is looked at once, however many patterns may match it.
Result<SqliteReader::Resolved> SqliteReader::resolve(const PatternSet& topics, Page& page) {
  Resolved resolved;
  Walk walk;
  for (const NameRange& range : topics.ranges()) {
    if (!range.single) {
      TRY(resolve_range(range, topics, walk, resolved, page));
      if (resolved.too_many) return resolved;
      continue;
    }
    const ResetAtEnd end(select_topic_);
    ++page.rows_read;
    if (TRY(select_topic_.bind(1, std::string_view(range.from)).step()))
      resolved.topics.push_back({select_topic_.integer(0), to_unsigned(select_topic_.integer(1))});
  }
  return resolved;
}

Result<void> SqliteReader::resolve_range(const NameRange& range, const PatternSet& topics, Walk& walk,
                                         Resolved& resolved, Page& page) {
  const ResetAtEnd end(select_range_);
  select_range_.bind(1, std::string_view(range.from)).bind(2, std::string_view(range.to));
  while (TRY(select_range_.step())) {
    ++page.rows_read;
    resolved.too_many = ++walk.names > kNamesScannedMax || walk.matched > limits::page_topics_max ||
                        walk.work > limits::page_work_max;
    if (resolved.too_many) return {};
    if (!topics.matches(select_range_.text(2), walk.work)) continue;
    ++walk.matched;
    resolved.topics.push_back({select_range_.integer(0), to_unsigned(select_range_.integer(1))});
  }
  return {};
}

// The offsets of all topics, merged by FTS5: only rows of these topics are looked at.
Result<Page> SqliteReader::read_topics(PageFilter& filter, const Resolved& resolved, Offset indexed,
                                       Page page) {
  const PageRequest& request = filter.request();
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
    if (filter.wants(event) && !add(page, std::move(event), request, bytes, offset - 1)) break;
    if (!filter.spent()) continue;
    page.upto = offset;
    break;
  }
  return page;
}

Result<Page> SqliteReader::scan(PageFilter& filter, Offset indexed, Page page) {
  const PageRequest& request = filter.request();
  const ResetAtEnd end(select_log_);
  select_log_.bind(1, to_signed(request.after)).bind(2, to_signed(indexed));
  select_log_.bind(3, to_signed(limits::page_scan_rows_max));
  std::size_t bytes = 0;
  for (std::size_t rows = 1; TRY(select_log_.step()); ++rows) {
    ++page.rows_read;
    Event event = event_of_row(select_log_, epochs_);
    const Offset offset = event.offset;
    if (filter.wants(event) && !add(page, std::move(event), request, bytes, offset - 1)) return page;
    if (rows < limits::page_scan_rows_max && !filter.spent()) continue;
    page.upto = offset;
    return page;
  }
  return page;
}

Result<Offset> SqliteReader::forgotten_above(Offset after) {
  const ResetAtEnd end(select_forgotten_);
  TRY(select_forgotten_.step());
  const Offset forgotten = to_unsigned(select_forgotten_.integer(0));
  return forgotten > after ? forgotten : 0;
}

// The highest floor of a topic that a pattern matches.
Result<Offset> SqliteReader::floor_of_matching(const PageFilter& filter, Page& page) {
  const ResetAtEnd end(select_floors_);
  select_floors_.bind(1, to_signed(filter.request().after)).bind(2, to_signed(kFloorsScannedMax));
  std::size_t work = 0;
  for (std::size_t rows = 1; TRY(select_floors_.step()); ++rows) {
    ++page.rows_read;
    const bool matched = filter.topics().matches(select_floors_.text(0), work);
    // Beyond the bound it is not known, and loss is rather told once too often.
    if (matched || rows == kFloorsScannedMax || work >= limits::page_work_max)
      return to_unsigned(select_floors_.integer(1));
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
