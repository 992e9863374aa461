#pragma once
// The feed: a user's notifications with their read state. It is read from the topics that the user follows;
// a broadcast is stored once, and only marks are the user's own.
//
// Route:  api -> store-reader -> read_feed; api -> log-writer -> Planner -> log.
// Owner:  none, functions; the Planner belongs to the server. Thread: the caller's. No I/O of its own.
// Bound:  a page holds limits::feed_items_max. Counts are kept as numbers with each mark (KnownCounts); from
//         there on it is counted what came since, which costs O(topics followed) whatever the length of
//         history. Where something was taken out meanwhile they are counted anew (FeedRows::tally).
// Always: the items, the states and the counts of one answer are true at its head. A mark never covers what
//         came after the place that it names.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/base.h"
#include "feed/planner.h"
#include "feed/presence_words.h"
#include "model/model.h"
#include "store/store.h"

namespace belfry {

enum class FeedStatus { active, unread, read, archived };  // active: all that is not archived

struct FeedQuestion {
  std::string user;
  FeedStatus status = FeedStatus::active;
  std::optional<Offset> before{};  // items older than this
  std::size_t limit = 20;          // 0: counts alone
};

struct FeedItem {
  Event event;
  ItemState state;
};

struct FeedAnswer {
  std::vector<FeedItem> items;  // newest first
  FeedCounts counts;
  Offset head = 0;               // where all of it is true; a stream can begin here without gap or overlap
  std::optional<Offset> next{};  // `before` of the next page; none: this is the last one
};

// REQUIRES: `rows` show one state of the store.
Result<FeedAnswer> read_feed(FeedRows& rows, const FeedQuestion& question, Timestamp now);
Result<FeedCounts> count_feed(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset head);
// Of the items in (after, upto], if their states were these.
Result<FeedCounts> count_part(FeedRows& rows, std::string_view user, const UserRows& of_user,
                              const ReadState& read, Offset after, Offset upto);
// For keeping counts that are true at `head`.
Result<KnownCounts> known_counts(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset head,
                                 FeedCounts counts);

// The parts of the log in (after, upto] whose notifications are in the user's feed.
std::vector<FeedSpan> feed_spans(std::string_view user, const UserRows& of_user, Offset after, Offset upto);

}  // namespace belfry
