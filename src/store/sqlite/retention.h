#pragma once
// What is old goes: by the age of the log from its oldest end, and topic by topic where rules say so.
// Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; every call but has_news inside a transaction.
// Bound: `rows_max` events, kPagesFreed pages and 2 * kTopicsVisited topics a call; kTopicsKept topics in
// memory.
// Always: topics that got events come before those that are met on the way round, and one with very much to
// lose goes behind the others after each call.

#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "store/sqlite/event_writer.h"
#include "store/store.h"

namespace belfry::sqlite {

class Retention {
 public:
  Retention(EventWriter& events, const TimeLine& time_line) : events_(events), time_line_(time_line) {}
  Result<void> prepare(Database& database);

  // After a transaction that failed.
  void restart();

  Result<std::vector<Offset>> trim(Offset upto, std::size_t rows_max);
  // Whether a topic that one of the rules is for got events since the last call.
  Result<bool> has_news(std::span<const RetentionRule> rules);
  Result<std::vector<Offset>> sweep(std::span<const RetentionRule> rules, const Now& now,
                                    std::size_t rows_max);
  // Topics that got events still wait.
  bool unfinished() const { return !news_.empty() || events_.has_touched(); }
  Result<Offset> highest_floor();
  Result<std::vector<Offset>> expired(Timestamp now, std::size_t rows_max);
  Result<std::size_t> forget_keys(Timestamp before, std::size_t rows_max);

 private:
  struct Topic {
    std::int64_t id;
    const RetentionRule* rule;
  };
  Result<const RetentionRule*> rule_of(std::span<const RetentionRule> rules, std::int64_t topic);
  Result<std::vector<Topic>> next_topics(std::span<const RetentionRule> rules);
  void look_again(std::int64_t topic);
  Result<void> remove(std::vector<Offset>& offsets);
  Result<std::int64_t> free_pages();
  Result<void> find_old(const Topic& topic, const Now& now, std::size_t rows_max, std::vector<Offset>& out);
  Result<void> find_own(const Topic& topic, std::size_t rows_max, std::vector<Offset>& out);

  EventWriter& events_;
  const TimeLine& time_line_;
  std::int64_t visited_ = 0;  // id of the last topic that the sweep looked at
  std::deque<std::int64_t> news_;            // ids of topics to look at first
  std::unordered_set<std::int64_t> in_news_;  // the same
  std::vector<std::int64_t> looked_at_;       // by the last sweep
  std::unordered_map<std::int64_t, Offset> begins_;  // nothing of the topic is left up to here
  Statement select_oldest_, select_topics_, select_name_, select_free_, select_newest_, select_rows_,
      select_last_own_, select_own_, select_expired_, select_floor_, forget_keys_;
};

}  // namespace belfry::sqlite
