#include "store/sqlite/notification_index.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace belfry::sqlite {
namespace {

constexpr std::size_t kLanesMax = 100'000;
constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

std::string name_of_lane(std::int64_t topic, const std::string& type) {
  return std::to_string(topic) + ' ' + type;
}

}  // namespace

Result<void> NotificationIndex::prepare(Database& database) {
  database_ = &database;
  TRY(database.prepare(select_lane_, "SELECT id FROM lanes WHERE topic = ? AND type = ?"));
  TRY(database.prepare(insert_lane_, "INSERT INTO lanes(topic, type) VALUES(?, ?)"));
  TRY(database.prepare(insert_, "INSERT INTO notifications VALUES(?, ?, ?)"));
  TRY(database.prepare(delete_, "DELETE FROM notifications WHERE lane = ? AND offset = ?"));
  TRY(database.prepare(select_n_, "SELECT n FROM notifications WHERE lane = ? AND offset = ?"));
  TRY(database.prepare(
      select_first_, "SELECT n FROM notifications WHERE lane = ? AND offset > ? ORDER BY offset LIMIT 1"));
  TRY(database.prepare(
      select_before_,
      "SELECT n FROM notifications WHERE lane = ? AND offset < ? ORDER BY offset DESC LIMIT 1"));
  TRY(database.prepare(insert_dead_, "INSERT OR IGNORE INTO dead VALUES(?, ?)"));
  TRY(database.prepare(select_dead_, "SELECT n FROM dead WHERE lane = ? AND n >= ? ORDER BY n LIMIT 1"));
  TRY(database.prepare(delete_dead_, "DELETE FROM dead WHERE lane = ? AND n BETWEEN ? AND ?"));
  TRY(database.prepare(
      add_block_,
      "INSERT INTO dead_blocks VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"));
  TRY(database.prepare(drop_blocks_,
                       "DELETE FROM dead_blocks WHERE lane = ?1 AND block BETWEEN ?2 AND ?3 AND "
                       "(count = 0 OR block NOT IN (?2, ?3))"));
  TRY(database.prepare(select_lanes_, "SELECT id, type FROM lanes WHERE topic = ? LIMIT ?"));
  TRY(database.prepare(delete_lane_, "DELETE FROM lanes WHERE id = ?"));
  TRY(database.prepare(delete_all_dead_, "DELETE FROM dead WHERE lane = ?"));
  TRY(database.prepare(delete_all_blocks_, "DELETE FROM dead_blocks WHERE lane = ?"));
  TRY(database.prepare(count_removal_, "UPDATE lanes SET removed = removed + 1 WHERE id = ?"));
  TRY(database.prepare(count_gone_,
                       "INSERT INTO lanes(topic, type, removed) VALUES(?, ?, ? + (SELECT removed FROM lanes "
                       "WHERE id = ?)) ON CONFLICT DO UPDATE SET removed = removed + excluded.removed"));
  return database.prepare(add_lane_, "UPDATE lanes SET dead = dead + ? WHERE id = ?");
}

// The n of the row that the statement finds, or 0.
Result<std::int64_t> NotificationIndex::number(Statement& statement, std::int64_t lane,
                                               std::int64_t offset) {
  const ResetAtEnd end(statement);
  if (!TRY(statement.bind(1, lane).bind(2, offset).step())) return std::int64_t{0};
  return statement.integer(0);
}

Result<NotificationIndex::Lane*> NotificationIndex::lane_of(std::int64_t topic, const std::string& type) {
  const std::string name = name_of_lane(topic, type);
  if (const auto known = lanes_.find(name); known != lanes_.end()) return &known->second;
  if (lanes_.size() >= kLanesMax) lanes_.clear();
  Lane lane;
  {
    const ResetAtEnd end(select_lane_);
    if (TRY(select_lane_.bind(1, topic).bind(2, std::string_view(type)).step()))
      lane.id = select_lane_.integer(0);
  }
  if (lane.id == 0) {
    TRY(insert_lane_.bind(1, topic).bind(2, std::string_view(type)).run());
    lane.id = sqlite3_last_insert_rowid(database_->handle());
  } else {
    lane.last_n = TRY(number(select_before_, lane.id, kEnd));
  }
  return &(lanes_[name] = lane);
}

Result<void> NotificationIndex::add(std::int64_t topic, const std::string& type, Offset offset) {
  Lane& lane = *TRY(lane_of(topic, type));
  return insert_.bind(1, lane.id).bind(2, to_signed(offset)).bind(3, ++lane.last_n).run();
}

Result<void> NotificationIndex::remove(std::int64_t topic, const std::string& type, Offset offset,
                                       bool refilled) {
  Lane& lane = *TRY(lane_of(topic, type));
  const std::int64_t at = to_signed(offset);
  const std::int64_t n = TRY(number(select_n_, lane.id, at));
  if (n == 0) return {};
  TRY(delete_.bind(1, lane.id).bind(2, at).run());
  const std::int64_t before = TRY(number(select_before_, lane.id, at));
  const std::int64_t after = TRY(number(select_first_, lane.id, at));
  if (before == 0 && after == 0 && !refilled) return drop(topic, type, lane.id, 1);
  TRY(count_removal_.bind(1, lane.id).run());
  // At an end of the lane no number needs to be remembered as dead.
  if (after == 0) {
    lane.last_n = before;
    return forget_dead(lane.id, before + 1, n);
  }
  if (before == 0) return forget_dead(lane.id, 0, after - 1);
  return bury(lane.id, n);
}

// What it lost stays counted: counts that are known of a feed are true as long as the sum is the same. It
// holds nothing, so none of its numbers is dead.
Result<void> NotificationIndex::drop(std::int64_t topic, const std::string& type, std::int64_t lane,
                                     std::int64_t removed_now) {
  lanes_.erase(name_of_lane(topic, type));
  TRY(count_gone_.bind(1, topic).bind(2, gone_lane).bind(3, removed_now).bind(4, lane).run());
  return delete_lane_.bind(1, lane).run();
}

Result<bool> NotificationIndex::drop_if_empty(std::int64_t topic, const std::string& type,
                                              std::int64_t lane) {
  if (TRY(number(select_before_, lane, kEnd)) != 0) return false;
  TRY(drop(topic, type, lane, 0));
  return true;
}

// Numbers of lanes are given again, so nothing may remember them.
Result<bool> NotificationIndex::forget_lanes(std::int64_t topic, std::size_t lanes_max) {
  std::vector<std::int64_t> lanes;
  {
    const ResetAtEnd end(select_lanes_);
    select_lanes_.bind(1, topic).bind(2, to_signed(lanes_max));
    while (TRY(select_lanes_.step())) {
      lanes.push_back(select_lanes_.integer(0));
      lanes_.erase(name_of_lane(topic, select_lanes_.text(1)));
    }
  }
  for (const std::int64_t lane : lanes)
    for (Statement* statement : {&delete_all_dead_, &delete_all_blocks_, &delete_lane_})
      TRY(statement->bind(1, lane).run());
  return lanes.size() < lanes_max;
}

Result<void> NotificationIndex::bury(std::int64_t lane, std::int64_t n) {
  TRY(insert_dead_.bind(1, lane).bind(2, n).run());
  TRY(add_block_.bind(1, lane).bind(2, n / dead_block).bind(3, std::int64_t{1}).run());
  return add_lane_.bind(1, std::int64_t{1}).bind(2, lane).run();
}

Result<std::int64_t> NotificationIndex::delete_dead(std::int64_t lane, std::int64_t from,
                                                    std::int64_t upto) {
  TRY(delete_dead_.bind(1, lane).bind(2, from).bind(3, upto).run());
  return sqlite3_changes64(database_->handle());
}

// Mostly none is dead. They may be very many: blocks between the first and the last go whole.
Result<void> NotificationIndex::forget_dead(std::int64_t lane, std::int64_t from, std::int64_t upto) {
  from = TRY(number(select_dead_, lane, from));
  if (from == 0 || from > upto) return {};
  const std::int64_t first = from / dead_block, last = upto / dead_block;
  const std::int64_t first_end = std::min(upto, (first + 1) * dead_block - 1);
  const std::int64_t in_first = TRY(delete_dead(lane, from, first_end));
  TRY(add_block_.bind(1, lane).bind(2, first).bind(3, -in_first).run());
  std::int64_t gone = in_first;
  if (last > first) {
    gone += TRY(delete_dead(lane, first_end + 1, last * dead_block - 1));
    const std::int64_t in_last = TRY(delete_dead(lane, last * dead_block, upto));
    if (in_last > 0) TRY(add_block_.bind(1, lane).bind(2, last).bind(3, -in_last).run());
    gone += in_last;
  }
  TRY(drop_blocks_.bind(1, lane).bind(2, first).bind(3, last).run());
  return add_lane_.bind(1, -gone).bind(2, lane).run();
}

}  // namespace belfry::sqlite
