#pragma once
// An event in all the tables that know of it: put in, and taken out. Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; every call inside a transaction.
// Bound: the caches of TopicCache and NotificationIndex, a batch of TopicIndexWriter.

#include <unordered_set>

#include "store/sqlite/notification_index.h"
#include "store/sqlite/topic_cache.h"
#include "store/sqlite/topic_index_writer.h"

namespace belfry::sqlite {

class EventWriter {
 public:
  Result<void> prepare(Database& database);
  // What is kept in memory of rows that the index does not know yet; after an opening, and after a
  // transaction that failed.
  Result<void> restart(Offset indexed);

  // Gives the event its seq; its offset is given. An earlier event of the same key is taken out, and its
  // offset returned; 0 if there is none.
  Result<Offset> insert(Event& event);

  enum class Removal { withdrawn, trimmed };  // trimmed raises the topic's floor
  // False if the event is not there. `next`: this event comes in its place at once.
  Result<bool> remove(Offset offset, Removal removal, const Event* next = nullptr);

  Result<bool> drop_lane_if_empty(std::int64_t topic, const std::string& type, std::int64_t lane) {
    return notifications_.drop_if_empty(topic, type, lane);
  }
  // Of a topic that has no event: some of its lanes (false: there are more), and what is remembered of it.
  Result<bool> forget_lanes(std::int64_t topic);
  void forget_topic(std::string_view name) { topics_.forget(name); }

  // Row id of a topic, made if it is new.
  Result<std::int64_t> topic_id(const std::string& name);
  TopicIndexWriter& index() { return index_; }
  // At most so many topics that got events and were not taken yet; those beyond kTouchedMax are forgotten.
  std::vector<std::int64_t> take_touched(std::size_t most);
  bool has_touched() const { return !touched_.empty(); }
  // Of the statement that ran last.
  int rows_changed() const { return sqlite3_changes(database_->handle()); }

 private:
  Result<TopicState*> topic_of(const std::string& name);
  Result<Offset> replace_key(std::int64_t topic, const Event& event);
  Result<void> insert_row(const Event& event, const TopicState& topic);

  Database* database_ = nullptr;
  Statement insert_event_, insert_topic_, select_topic_, select_newest_, select_row_, delete_event_,
      keep_last_, select_keyed_, put_keyed_, delete_keyed_, put_expiry_, delete_expiry_;
  TopicIndexWriter index_;
  TopicCache topics_;
  NotificationIndex notifications_;
  std::unordered_set<std::int64_t> touched_;
};

}  // namespace belfry::sqlite
