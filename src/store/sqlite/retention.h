#pragma once
// What is old goes: by the age of the log from its oldest end, and topic by topic where rules say so.
// Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; every call inside a transaction.
// Bound: `rows_max` events and kTopicsVisited topics a call.

#include "store/sqlite/event_writer.h"
#include "store/store.h"

namespace belfry::sqlite {

class Retention {
 public:
  explicit Retention(EventWriter& events) : events_(events) {}
  Result<void> prepare(Database& database);

  Result<std::vector<Offset>> trim(Offset upto, std::size_t rows_max);
  Result<std::vector<Offset>> sweep(std::span<const RetentionRule> rules, Timestamp now,
                                    std::size_t rows_max);
  Result<Offset> highest_floor();
  Result<std::vector<Offset>> expired(Timestamp now, std::size_t rows_max);
  Result<void> forget_keys(Timestamp before, std::size_t rows_max);

 private:
  struct Topic {
    std::int64_t id;
    const RetentionRule* rule;
  };
  Result<std::vector<Topic>> next_topics(std::span<const RetentionRule> rules);
  Result<void> find_old(const Topic& topic, Timestamp now, std::size_t rows_max, std::vector<Offset>& out);
  Result<void> find_own(const Topic& topic, std::size_t rows_max, std::vector<Offset>& out);

  EventWriter& events_;
  std::int64_t visited_ = 0;  // id of the last topic that the sweep looked at
  Statement select_oldest_, select_topics_, select_newest_, select_rows_, select_last_own_, select_own_,
      select_expired_, select_floor_, forget_keys_;
};

}  // namespace belfry::sqlite
