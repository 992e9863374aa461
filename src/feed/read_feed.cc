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

// The ranges whose items a page of this kind shows; those that touch are one.
std::vector<OffsetRange> shown_ranges(FeedStatus status, const ReadState& read, Offset last) {
  std::vector<OffsetRange> out;
  for (const auto& range : read.ranges()) {
    if (range.after >= last) break;
    if (!shows(status, range.state)) continue;
    const Offset upto = std::min(range.upto, last);
    if (!out.empty() && out.back().upto == range.after) {
      out.back().upto = upto;
    } else {
      out.push_back({range.after, upto});
    }
  }
  return out;
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

Result<FeedCounts> count_part(FeedRows& rows, std::string_view user, const UserRows& of_user,
                              const ReadState& read, Offset after, Offset upto) {
  std::vector<OffsetRange> ranges;
  std::vector<ItemState> states;
  for (const auto& range : read.ranges(after)) {
    if (range.after >= upto) break;
    if (!range.state.counts_unread() && !range.state.counts_unseen()) continue;
    ranges.push_back({range.after, std::min(range.upto, upto)});
    states.push_back(range.state);
  }
  FeedCounts counts;
  if (ranges.empty()) return counts;
  const auto spans = feed_spans(user, of_user, ranges.front().after, ranges.back().upto);
  const auto tally = TRY(rows.tally(spans, of_user.mutes, ranges));
  for (std::size_t i = 0; i < tally.size(); ++i) {
    if (states[i].counts_unread()) counts.unread += tally[i];
    if (states[i].counts_unseen()) counts.unseen += tally[i];
  }
  return counts;
}

Result<FeedCounts> count_feed(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset head) {
  if (const auto& known = of_user.counted; known && known->at <= head) {
    const auto before = feed_spans(user, of_user, 0, known->at);
    if (TRY(rows.removals(before)) == known->removals) {
      FeedCounts counts = TRY(count_part(rows, user, of_user, of_user.read, known->at, head));
      counts.unread += known->counts.unread;
      counts.unseen += known->counts.unseen;
      return counts;
    }
  }
  return count_part(rows, user, of_user, of_user.read, 0, head);
}

Result<KnownCounts> known_counts(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset head,
                                 FeedCounts counts) {
  return KnownCounts{head, TRY(rows.removals(feed_spans(user, of_user, 0, head))), counts};
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
  const auto shown = shown_ranges(question.status, of_user.read, last);
  const auto spans = feed_spans(question.user, of_user, 0, last);
  std::vector<Event> found = TRY(rows.newest(spans, of_user.mutes, shown, wanted));
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
