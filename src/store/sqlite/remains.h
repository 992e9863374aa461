#pragma once
// What events leave behind when they go: topics without events, their lanes, ended follows that hold
// nothing, steps of read states, users of whom nothing is kept; and lanes that hold nothing, which earlier
// versions left, in the first round. Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; every call but rests() inside a transaction.
// Bound: `rows_max` rows changed and kWork a call. A round goes over all rows, then rests for kRest.
// Always: a topic that is forgotten has had no event for limits::remains_kept, nobody follows it, and
// meta.forgotten is not below its floor.

#include <unordered_set>

#include "store/sqlite/event_writer.h"
#include "store/sqlite/feed_rows.h"
#include "store/store.h"

namespace belfry::sqlite {

class Remains {
 public:
  Remains(EventWriter& events, SqliteFeedRows& feed_rows) : events_(events), feed_rows_(feed_rows) {}
  Result<void> prepare(Database& database);
  // After a transaction that failed: the round begins anew.
  void restart();

  // Whether the last round is less than kRest ago.
  bool rests(Timestamp now) const;
  // As Store::forget_remains.
  Result<std::size_t> forget(Timestamp now, std::size_t rows_max);
  // Topics with a floor up to here are not known any more.
  Result<Offset> forgotten();

 private:
  enum class Part { lanes, follows, topics, users };
  struct EndedFollow {
    std::string user;
    std::int64_t topic = 0;
    Offset since = 0, until = 0;
  };
  struct Topic {
    std::int64_t id = 0;
    std::string name;
    Offset floor = 0;
  };
  void begin_round(Part first);
  // Looks at the next row; false if there is none.
  Result<bool> look(Timestamp now);
  Result<bool> look_at_lane();
  Result<bool> look_at_follow(Timestamp now);
  Result<bool> look_at_topic(Timestamp now);
  Result<bool> look_at_user();
  // Whether it is marked as empty long enough; marks it where it is not.
  template <class Mark>
  Result<bool> is_over(const Statement& row, int column, Timestamp now, Mark mark);
  Result<void> forget_follow(const EndedFollow& follow, Offset lost);
  Result<bool> is_empty(const Topic& topic);
  Result<void> forget_topic(const Topic& topic);
  Result<bool> finds(Statement& statement);
  Result<void> raise_forgotten(Offset floor);

  EventWriter& events_;
  SqliteFeedRows& feed_rows_;
  Database* database_ = nullptr;
  // The place of the round.
  Part part_ = Part::lanes;
  std::int64_t lane_ = 0;
  EndedFollow follow_;
  std::int64_t topic_ = 0;
  std::string user_;
  Offset step_ = 0;  // of the user's read state; 0: the next user
  Timestamp rests_until_{};
  // Of one call.
  std::unordered_set<std::int64_t> waiting_;  // topics with rows that are not indexed
  std::size_t went_ = 0, marked_ = 0;
  std::uint64_t cost_ = 0;  // beside SQLite's steps
  Statement select_lane_, select_follow_, select_held_, mark_follow_, delete_follow_, forget_counts_,
      select_topic_, select_followed_, select_event_, mark_topic_, delete_keyed_, delete_topic_,
      raise_forgotten_, select_forgotten_, select_user_, put_read_, delete_user_;
};

// A start in which no event was written leaves no epoch behind in the end, and of all only the newest are
// kept. After the row of the present start was put in.
Result<void> drop_epochs(Database& database);

}  // namespace belfry::sqlite
