#pragma once
// The lanes of notifications, written with each commit: which offsets they have, numbered without holes but
// for the dead. Private to sqlite/.
//
// Owner: EventWriter. Thread: the log-writer. Bound: one cached row a lane, kLanesMax of them.
// Always: between two neighbouring rows of a lane, the numbers that are missing are in `dead`; none is dead
// below the first row or above the last. A lane goes with its last notification; the sum of lanes.removed of
// a topic only grows.

#include <string>
#include <string_view>
#include <unordered_map>

#include "store/sqlite/schema.h"

namespace belfry::sqlite {

// dead_blocks sums up numbers n with the same n / dead_block.
inline constexpr std::int64_t dead_block = 1024;

// One row of a topic counts what was removed from lanes that are gone. No event can have this type.
inline constexpr std::string_view gone_lane = "(gone)";

class NotificationIndex {
 public:
  Result<void> prepare(Database& database);
  // After a transaction that failed.
  void restart() { lanes_.clear(); }

  Result<void> add(std::int64_t topic, const std::string& type, Offset offset);
  // `refilled`: the next call adds one of the same topic and type, so the lane stays.
  Result<void> remove(std::int64_t topic, const std::string& type, Offset offset, bool refilled);
  // Takes out a lane that holds nothing, as earlier versions left it. False: it holds something.
  Result<bool> drop_if_empty(std::int64_t topic, const std::string& type, std::int64_t lane);
  // Takes out lanes of a topic that has no event, at most `lanes_max`. False: there are more.
  Result<bool> forget_lanes(std::int64_t topic, std::size_t lanes_max);

 private:
  struct Lane {
    std::int64_t id = 0;
    std::int64_t last_n = 0;
  };
  Result<Lane*> lane_of(std::int64_t topic, const std::string& type);
  Result<std::int64_t> number(Statement& statement, std::int64_t lane, std::int64_t offset);
  Result<void> drop(std::int64_t topic, const std::string& type, std::int64_t lane,
                    std::int64_t removed_now);
  Result<void> bury(std::int64_t lane, std::int64_t n);
  // Forgets the dead in [from, upto].
  Result<void> forget_dead(std::int64_t lane, std::int64_t from, std::int64_t upto);
  // How many they were; the sums stay.
  Result<std::int64_t> delete_dead(std::int64_t lane, std::int64_t from, std::int64_t upto);

  Database* database_ = nullptr;
  Statement select_lane_, insert_lane_, insert_, delete_, select_n_, select_first_, select_before_,
      insert_dead_, select_dead_, delete_dead_, add_block_, add_lane_, count_removal_, count_gone_,
      drop_blocks_, select_lanes_, delete_lane_, delete_all_dead_, delete_all_blocks_;
  std::unordered_map<std::string, Lane, KeyedHash, std::equal_to<>> lanes_;  // by topic id and type
};

}  // namespace belfry::sqlite
