#include "store/sqlite/feed_rows.h"

#include <algorithm>

#include "store/sqlite/notification_index.h"

namespace belfry::sqlite {

std::string joined(const std::vector<std::string>& patterns) {
  std::string out;
  for (const auto& pattern : patterns) out += pattern + '\n';
  return out;
}

std::vector<std::string> split_patterns(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    out.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return out;
}

Result<void> SqliteFeedRows::prepare(Database& database) {
  database_ = &database;
  TRY(database.prepare(select_head_, head_sql));
  TRY(database.prepare(select_user_, "SELECT read, muted_topics, muted_types FROM users WHERE name = ?"));
  TRY(database.prepare(
      select_follows_,
      "SELECT t.name, f.since, f.until FROM follows f JOIN topics t ON t.id = f.topic WHERE f.user = ?"));
  TRY(database.prepare(
      select_lanes_,
      "SELECT l.id, l.type, l.dead FROM lanes l JOIN topics t ON l.topic = t.id WHERE t.name = ?"));
  TRY(database.prepare(
      select_rank_,
      "SELECT n FROM notifications WHERE lane = ? AND offset <= ? ORDER BY offset DESC LIMIT 1"));
  TRY(database.prepare(select_first_,
                       "SELECT n FROM notifications WHERE lane = ? ORDER BY offset LIMIT 1"));
  TRY(database.prepare(count_dead_, "SELECT count(*) FROM dead WHERE lane = ? AND n BETWEEN ? AND ?"));
  TRY(database.prepare(
      count_blocks_,
      "SELECT coalesce(sum(count), 0) FROM dead_blocks WHERE lane = ? AND block BETWEEN ? AND ?"));
  TRY(database.prepare(
      select_offsets_,
      "SELECT offset FROM notifications WHERE lane = ? AND offset > ? AND offset <= ? ORDER BY offset "
      "DESC LIMIT ?"));
  TRY(database.prepare(select_event_,
                       "SELECT " + std::string(event_columns) +
                           " FROM events e JOIN topics t ON t.id = e.topic WHERE e.offset = ?"));
  return database.prepare(select_floor_, "SELECT floor FROM topics WHERE name = ?");
}

Result<Offset> SqliteFeedRows::head() {
  const ResetAtEnd end(select_head_);
  TRY(select_head_.step());
  return to_unsigned(select_head_.integer(0));
}

Result<Offset> SqliteFeedRows::floor(std::string_view topic) {
  const ResetAtEnd end(select_floor_);
  if (!TRY(select_floor_.bind(1, topic).step())) return Offset{0};
  return to_unsigned(select_floor_.integer(0));
}

Result<UserRows> SqliteFeedRows::user(std::string_view user) {
  UserRows rows;
  {
    const ResetAtEnd end(select_user_);
    if (TRY(select_user_.bind(1, user).step())) {
      rows.read = TRY(ReadState::decode(select_user_.text(0)));
      rows.mutes = {split_patterns(select_user_.text(1)), split_patterns(select_user_.text(2))};
    }
  }
  const ResetAtEnd end(select_follows_);
  select_follows_.bind(1, user);
  while (TRY(select_follows_.step())) {
    Follow follow{select_follows_.text(0), to_unsigned(select_follows_.integer(1)), std::nullopt};
    if (!select_follows_.is_null(2)) follow.to = to_unsigned(select_follows_.integer(2));
    rows.follows.push_back(std::move(follow));
  }
  return rows;
}

Result<std::vector<SqliteFeedRows::Lane>> SqliteFeedRows::lanes(std::string_view topic,
                                                                const Mutes& mutes) {
  std::vector<Lane> out;
  const ResetAtEnd end(select_lanes_);
  select_lanes_.bind(1, topic);
  while (TRY(select_lanes_.step()))
    if (mutes.empty() || !mutes.hide(topic, select_lanes_.text(1)))
      out.push_back({select_lanes_.integer(0), select_lanes_.integer(2) != 0});
  return out;
}

Result<std::int64_t> SqliteFeedRows::rank(std::int64_t lane, Offset offset) {
  {
    const ResetAtEnd end(select_rank_);
    if (TRY(select_rank_.bind(1, lane).bind(2, to_signed(offset)).step())) return select_rank_.integer(0);
  }
  // Below the first row: what was numbered before it is gone.
  const ResetAtEnd end(select_first_);
  if (!TRY(select_first_.bind(1, lane).step())) return std::int64_t{0};
  return select_first_.integer(0) - 1;
}

// Of the numbers in (after, upto]: whole blocks by their sums, the rest one by one.
Result<std::int64_t> SqliteFeedRows::dead_between(std::int64_t lane, std::int64_t after,
                                                  std::int64_t upto) {
  const auto ask = [&](Statement& statement, std::int64_t from, std::int64_t to) -> Result<std::int64_t> {
    if (from > to) return std::int64_t{0};
    const ResetAtEnd end(statement);
    TRY(statement.bind(1, lane).bind(2, from).bind(3, to).step());
    return statement.integer(0);
  };
  const std::int64_t first_block = after / dead_block + 1;
  const std::int64_t last_block = (upto + 1) / dead_block - 1;
  if (first_block > last_block) return ask(count_dead_, after + 1, upto);
  const std::int64_t blocks = TRY(ask(count_blocks_, first_block, last_block));
  const std::int64_t before = TRY(ask(count_dead_, after + 1, first_block * dead_block - 1));
  const std::int64_t behind = TRY(ask(count_dead_, (last_block + 1) * dead_block, upto));
  return blocks + before + behind;
}

Result<std::uint64_t> SqliteFeedRows::count(const FeedSpan& span, const Mutes& mutes) {
  std::int64_t total = 0;
  const std::vector<Lane> found = TRY(lanes(span.topic, mutes));
  for (const Lane& lane : found) {
    const std::int64_t upto = TRY(rank(lane.id, span.upto));
    const std::int64_t after = TRY(rank(lane.id, span.after));
    total += upto - after;
    if (lane.has_dead) total -= TRY(dead_between(lane.id, after, upto));
  }
  return to_unsigned(total);
}

Result<void> SqliteFeedRows::fetch(Cursor& cursor) {
  const ResetAtEnd end(select_offsets_);
  select_offsets_.bind(1, cursor.lane).bind(2, to_signed(cursor.after)).bind(3, to_signed(cursor.before));
  select_offsets_.bind(4, to_signed(cursor.fetch));
  while (TRY(select_offsets_.step())) cursor.fetched.push_back(to_unsigned(select_offsets_.integer(0)));
  std::reverse(cursor.fetched.begin(), cursor.fetched.end());
  cursor.before = cursor.fetched.size() < cursor.fetch ? cursor.after : cursor.fetched.front() - 1;
  cursor.fetch *= 2;
  return {};
}

// The lanes are merged by a heap: a few offsets of each are fetched, and more only where they are used up.
Result<std::vector<Event>> SqliteFeedRows::newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                                  std::size_t items_max) {
  std::vector<Cursor> heap;
  const auto older = [](const Cursor& a, const Cursor& b) { return a.fetched.back() < b.fetched.back(); };
  for (const FeedSpan& span : spans) {
    const std::vector<Lane> found = TRY(lanes(span.topic, mutes));
    for (const Lane& lane : found) {
      Cursor cursor{lane.id, span.after, span.upto, {}};
      TRY(fetch(cursor));
      if (!cursor.fetched.empty()) heap.push_back(std::move(cursor));
    }
  }
  std::make_heap(heap.begin(), heap.end(), older);
  std::vector<Event> out;
  while (!heap.empty() && out.size() < items_max) {
    std::pop_heap(heap.begin(), heap.end(), older);
    Cursor& cursor = heap.back();
    auto event = TRY(event_at(cursor.fetched.back()));
    cursor.fetched.pop_back();
    if (event) out.push_back(std::move(*event));
    if (cursor.fetched.empty() && cursor.before > cursor.after) TRY(fetch(cursor));
    if (cursor.fetched.empty()) {
      heap.pop_back();
    } else {
      std::push_heap(heap.begin(), heap.end(), older);
    }
  }
  return out;
}

Result<std::optional<Event>> SqliteFeedRows::event_at(Offset offset) {
  const ResetAtEnd end(select_event_);
  if (!TRY(select_event_.bind(1, to_signed(offset)).step())) return std::optional<Event>{};
  return std::optional<Event>{event_of_row(select_event_, epochs_)};
}

}  // namespace belfry::sqlite
