#include <algorithm>
#include <iterator>

#include "feed/feed.h"

namespace belfry {
namespace {

bool shows(FeedStatus status, ItemState state) {
  switch (status) {
    case FeedStatus::active:
      return !state.archived;
    case FeedStatus::unread:
      return state.counts_unread();
    case FeedStatus::read:
      return state.read && !state.archived;
    case FeedStatus::archived:
      return state.archived;
  }
  return false;
}

Result<std::uint64_t> count_spans(FeedRows& rows, const std::vector<FeedSpan>& spans, const Mutes& mutes) {
  std::uint64_t total = 0;
  for (const FeedSpan& span : spans) total += TRY(rows.count(span, mutes));
  return total;
}

// Ranges that show are read together as far as they touch: most feeds are one or two of them.
Result<std::vector<Event>> newest_of(FeedRows& rows, const FeedQuestion& question, const UserRows& of_user,
                                     Offset last, std::size_t wanted) {
  auto ranges = of_user.read.ranges();
  std::reverse(ranges.begin(), ranges.end());
  std::vector<Event> found;
  for (std::size_t i = 0; i < ranges.size() && found.size() < wanted; ++i) {
    if (!shows(question.status, ranges[i].state)) continue;
    const Offset upto = std::min(ranges[i].upto, last);
    while (i + 1 < ranges.size() && shows(question.status, ranges[i + 1].state)) ++i;
    if (ranges[i].after >= upto) continue;
    const auto spans = feed_spans(question.user, of_user, ranges[i].after, upto);
    auto events = TRY(rows.newest(spans, of_user.mutes, wanted - found.size()));
    std::move(events.begin(), events.end(), std::back_inserter(found));
  }
  return found;
}

}  // namespace

std::vector<FeedSpan> feed_spans(std::string_view user, const UserRows& of_user, Offset after,
                                 Offset upto) {
  std::vector<FeedSpan> out;
  if (after < upto) out.push_back({user_topic(user), after, upto});
  for (const Follow& follow : of_user.follows) {
    const Offset from = std::max(after, follow.from);
    const Offset to = std::min(upto, follow.to.value_or(offset_max));
    if (from < to) out.push_back({follow.topic, from, to});
  }
  return out;
}

Result<FeedCounts> count_feed(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset head) {
  FeedCounts counts;
  for (const auto& range : of_user.read.ranges()) {
    const bool unread = range.state.counts_unread(), unseen = range.state.counts_unseen();
    if (!unread && !unseen) continue;
    const auto spans = feed_spans(user, of_user, range.after, std::min(range.upto, head));
    const std::uint64_t count = TRY(count_spans(rows, spans, of_user.mutes));
    if (unread) counts.unread += count;
    if (unseen) counts.unseen += count;
  }
  return counts;
}

Result<FeedAnswer> read_feed(FeedRows& rows, const FeedQuestion& question, Timestamp now) {
  FeedAnswer answer;
  answer.head = TRY(rows.head());
  const UserRows of_user = TRY(rows.user(question.user));
  answer.counts = TRY(count_feed(rows, question.user, of_user, answer.head));
  if (question.limit == 0) return answer;
  const Offset last = std::min(answer.head, question.before ? *question.before - 1 : offset_max);
  // One more tells whether there are more.
  const std::size_t wanted = std::min(question.limit, limits::feed_items_max) + 1;
  std::vector<Event> found = TRY(newest_of(rows, question, of_user, last, wanted));
  std::size_t kept = 0, bytes = 0;
  while (kept < found.size() && kept + 1 < wanted && bytes < limits::feed_bytes_max)
    bytes += found[kept++].bytes();
  if (kept < found.size()) {
    found.resize(kept);
    answer.next = found.back().offset;
  }
  for (Event& event : found) {
    const ItemState state = of_user.read.at(event.offset);
    if (!event.expired(now)) answer.items.push_back({std::move(event), state});
  }
  return answer;
}

}  // namespace belfry
