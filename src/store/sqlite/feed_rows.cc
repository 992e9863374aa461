#include "store/sqlite/feed_rows.h"

#include <algorithm>
#include <unordered_set>

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
  TRY(database.prepare(select_user_, "SELECT read, muted_topics, muted_types, counted_at, "
                                      "counted_removals, unread, unseen FROM users WHERE name = ?"));
  TRY(database.prepare(
      select_follows_,
      "SELECT t.name, f.since, f.until FROM follows f JOIN topics t ON t.id = f.topic WHERE f.user = ?"));
  TRY(database.prepare(
      select_lanes_,
      "SELECT l.id, l.type, l.dead FROM lanes l JOIN topics t ON l.topic = t.id WHERE t.name = ? AND l.type "
      "<> ?"));
  TRY(database.prepare(select_removed_,
                       "SELECT max(l.topic), sum(l.removed) FROM lanes l JOIN topics t ON l.topic = t.id "
                       "WHERE t.name = ?"));
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
  TRY(database.prepare(
      select_walk_,
      "SELECT offset FROM notifications WHERE lane = ? AND offset > ? AND offset <= ? ORDER BY offset"));
  TRY(database.prepare(select_event_,
                       "SELECT " + std::string(event_columns) +
                           " FROM events e JOIN topics t ON t.id = e.topic WHERE e.offset = ?"));
  TRY(database.prepare(select_item_,
                       "SELECT e.offset, t.name, e.seq, e.type, e.time, NULL, CASE WHEN e.notification IS "
                       "NULL THEN NULL ELSE '{}' END, e.key, e.expires, e.keys, e.spread_ms, e.version FROM "
                       "events e JOIN topics t ON t.id = e.topic WHERE e.offset = ?"));
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
      if (!select_user_.is_null(3))
        rows.counted = KnownCounts{
            to_unsigned(select_user_.integer(3)),
            to_unsigned(select_user_.integer(4)),
            {to_unsigned(select_user_.integer(5)), to_unsigned(select_user_.integer(6))}};
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
  select_lanes_.bind(1, topic).bind(2, gone_lane);
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

Result<std::int64_t> SqliteFeedRows::count_between(const Lane& lane, Offset after, Offset upto) {
  const std::int64_t last = TRY(rank(lane.id, upto));
  const std::int64_t before = TRY(rank(lane.id, after));
  return last - before - (lane.has_dead ? TRY(dead_between(lane.id, before, last)) : 0);
}

Result<std::uint64_t> SqliteFeedRows::count(const FeedSpan& span, const Mutes& mutes) {
  std::int64_t total = 0;
  const std::vector<Lane> found = TRY(lanes(span.topic, mutes));
  for (const Lane& lane : found) total += TRY(count_between(lane, span.after, span.upto));
  return to_unsigned(total);
}

Result<std::vector<std::uint64_t>> SqliteFeedRows::tally(std::span<const FeedSpan> spans,
                                                         const Mutes& mutes,
                                                         std::span<const OffsetRange> ranges) {
  std::vector<std::uint64_t> out(ranges.size());
  for (const FeedSpan& span : spans) {
    const std::vector<Lane> found = TRY(lanes(span.topic, mutes));
    for (const Lane& lane : found) TRY(tally_lane(lane, {span.after, span.upto}, ranges, out));
  }
  return out;
}

namespace {

constexpr std::size_t kWalked = 16;  // so many one by one; more in one range are counted by their numbers

// The first of the ranges, from `from` on, that ends at the offset or above.
std::size_t range_of(std::span<const OffsetRange> ranges, std::size_t from, Offset offset) {
  const auto found = std::partition_point(ranges.begin() + static_cast<std::ptrdiff_t>(from), ranges.end(),
                                          [offset](const OffsetRange& r) { return r.upto < offset; });
  return static_cast<std::size_t>(found - ranges.begin());
}

// An odd number that has nothing to do with those of other ids (the mixer of SplitMix64).
std::uint64_t scattered(std::uint64_t id) {
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
  id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
  return (id ^ (id >> 31)) | 1u;
}

}  // namespace

Result<void> SqliteFeedRows::tally_lane(const Lane& lane, OffsetRange within,
                                        std::span<const OffsetRange> ranges,
                                        std::vector<std::uint64_t>& out) {
  Offset after = within.after;
  while (after < within.upto) {
    const std::size_t at = range_of(ranges, 0, after + 1);
    if (at == ranges.size() || ranges[at].after >= within.upto) return {};
    after = std::max(after, ranges[at].after);
    if (TRY(walk(lane, after, within.upto, ranges, at, out))) return {};
  }
  return {};
}

Result<bool> SqliteFeedRows::walk(const Lane& lane, Offset& after, Offset upto,
                                  std::span<const OffsetRange> ranges, std::size_t at,
                                  std::vector<std::uint64_t>& out) {
  std::size_t in_range = 0;
  {
    const ResetAtEnd end(select_walk_);
    select_walk_.bind(1, lane.id).bind(2, to_signed(after)).bind(3, to_signed(upto));
    while (in_range < kWalked) {
      if (!TRY(select_walk_.step())) return true;
      const Offset offset = to_unsigned(select_walk_.integer(0));
      if (offset > ranges[at].upto) {
        at = range_of(ranges, at, offset);
        in_range = 0;
        if (at == ranges.size()) return true;
        after = ranges[at].after;
        if (offset <= after) return false;  // between two ranges
      }
      after = offset;
      ++out[at];
      ++in_range;
    }
  }
  const Offset end = std::min(ranges[at].upto, upto);
  out[at] += to_unsigned(TRY(count_between(lane, after, end)));
  after = end;
  return false;
}

Result<std::uint64_t> SqliteFeedRows::removals(std::span<const FeedSpan> spans) {
  std::uint64_t total = 0;
  // One topic may have been followed several times, or it is not any more.
  std::unordered_set<std::string_view, KeyedHash> topics;
  for (const FeedSpan& span : spans) {
    if (!topics.insert(span.topic).second) continue;
    const ResetAtEnd end(select_removed_);
    TRY(select_removed_.bind(1, span.topic).step());
    // What grows in one topic must not be made up for by a topic that is not asked for any more.
    total += to_unsigned(select_removed_.integer(1)) * scattered(to_unsigned(select_removed_.integer(0)));
  }
  return total;
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

Result<void> SqliteFeedRows::settle(Cursor& cursor, std::span<const OffsetRange> ranges) {
  while (true) {
    if (cursor.fetched.empty()) {
      if (cursor.before <= cursor.after) return {};
      TRY(fetch(cursor));
      continue;
    }
    const Offset offset = cursor.fetched.back();
    const std::size_t at = range_of(ranges, 0, offset);
    if (at < ranges.size() && offset > ranges[at].after) return {};
    // What lies between two ranges is passed over.
    const Offset below = at == 0 ? 0 : ranges[at - 1].upto;
    while (!cursor.fetched.empty() && cursor.fetched.back() > below) cursor.fetched.pop_back();
    if (!cursor.fetched.empty()) continue;
    cursor.before = std::min(cursor.before, below);
    cursor.fetch = kFetched;
  }
}

// The lanes are merged by a heap: a few offsets of each are fetched, and more only where they are used up.
Result<std::vector<Event>> SqliteFeedRows::newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                                  std::span<const OffsetRange> ranges,
                                                  std::size_t items_max) {
  std::vector<Cursor> heap;
  if (ranges.empty()) return std::vector<Event>{};
  const auto older = [](const Cursor& a, const Cursor& b) { return a.fetched.back() < b.fetched.back(); };
  for (const FeedSpan& span : spans) {
    const std::vector<Lane> found = TRY(lanes(span.topic, mutes));
    for (const Lane& lane : found) {
      Cursor cursor{lane.id, span.after, std::min(span.upto, ranges.back().upto), {}};
      TRY(settle(cursor, ranges));
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
    TRY(settle(cursor, ranges));
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

Result<std::optional<Event>> SqliteFeedRows::item_at(Offset offset) {
  const ResetAtEnd end(select_item_);
  if (!TRY(select_item_.bind(1, to_signed(offset)).step())) return std::optional<Event>{};
  return std::optional<Event>{event_of_row(select_item_, epochs_)};
}

}  // namespace belfry::sqlite
