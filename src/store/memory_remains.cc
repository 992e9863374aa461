#include <algorithm>

#include "store/feed_steps.h"
#include "store/memory_feed.h"

namespace belfry {
namespace {

// Whether it is marked as empty long enough; marks it where it is not.
bool is_over(std::optional<Timestamp>& empty_since, Timestamp now) {
  if (!empty_since || *empty_since > now) empty_since = now;
  return *empty_since <= now + -limits::remains_kept;
}

void raise_forgotten(MemoryDisk& disk, Offset floor) {
  if (!disk.planted.forget_forgotten) disk.forgotten = std::max(disk.forgotten, floor);
}

// Whether the ended follow tells nobody anything any more.
bool is_over(MemoryDisk& disk, const std::string& user, const Follow& follow, Timestamp now) {
  if (!follow.to) return false;
  const auto is_held = [&](const auto& row) {
    return row.second.topic == follow.topic && !row.second.notification.empty();
  };
  const bool held =
      std::any_of(disk.log.upper_bound(follow.from), disk.log.upper_bound(*follow.to), is_held);
  if (held) return false;
  const auto topic = disk.topics.find(follow.topic);
  const Offset floor = topic == disk.topics.end() ? 0 : std::min(topic->second.floor, *follow.to);
  if (floor <= follow.from) return true;
  if (!is_over(disk.follows_empty_since[{user, follow.topic, follow.from}], now)) return false;
  raise_forgotten(disk, floor);
  return true;
}

std::size_t forget_follows(MemoryDisk& disk, Timestamp now, std::size_t rows_max) {
  std::size_t went = 0;
  for (auto& [user, row] : disk.users) {
    const std::size_t before = went;
    std::erase_if(row.follows, [&, &user = user](const Follow& follow) {
      if (went == rows_max || !is_over(disk, user, follow, now)) return false;
      disk.follows_empty_since.erase({user, follow.topic, follow.from});
      ++went;
      return true;
    });
    if (went > before) row.counted.reset();
  }
  return went;
}

bool is_followed(const MemoryDisk& disk, const std::string& topic) {
  return std::any_of(disk.users.begin(), disk.users.end(), [&](const auto& user) {
    const auto& follows = user.second.follows;
    return std::any_of(follows.begin(), follows.end(), [&](const Follow& f) { return f.topic == topic; });
  });
}

std::size_t forget_topics(MemoryDisk& disk, Timestamp now, std::size_t rows_max) {
  std::size_t went = 0;
  for (auto it = disk.topics.begin(); it != disk.topics.end() && went < rows_max;) {
    const auto next = std::next(it);
    auto& [name, row] = *it;
    const bool held = std::any_of(disk.log.begin(), disk.log.end(),
                                  [&name = name](const auto& event) { return event.second.topic == name; });
    if (held || is_followed(disk, name)) {
      row.empty_since.reset();
    } else if (is_over(row.empty_since, now)) {
      const auto user = disk.users.find(user_of_topic(name));
      if (user != disk.users.end()) user->second.counted.reset();
      raise_forgotten(disk, row.floor);
      disk.removals.erase(name);
      disk.topics.erase(it);
      ++went;
    }
    it = next;
  }
  return went;
}

Result<std::size_t> forget_users(MemoryDisk& disk, std::size_t rows_max) {
  MemoryFeedRows rows(disk);
  std::size_t went = 0;
  for (auto it = disk.users.begin(); it != disk.users.end() && went < rows_max;) {
    const auto next = std::next(it);
    auto& [name, row] = *it;
    ReadState read = row.read;
    const UserRows of_user = TRY(rows.user(name));
    TRY(forget_steps(rows, name, of_user, 0, limits::read_steps_max, read));
    if (read != row.read) ++went;
    row.read = std::move(read);
    if (row.read.steps() == 0 && row.mutes.empty() && row.follows.empty()) {
      disk.users.erase(it);
      ++went;
    }
    it = next;
  }
  return went;
}

}  // namespace

Result<std::size_t> forget_remains(MemoryDisk& disk, Timestamp now, std::size_t rows_max) {
  std::size_t went = forget_follows(disk, now, rows_max);
  went += forget_topics(disk, now, rows_max - went);
  return went + TRY(forget_users(disk, rows_max - went));
}

void drop_epochs(std::vector<EpochRow>& epochs) {
  const std::size_t spared = std::min(epochs.size(), epochs_spared);
  for (std::size_t i = epochs.size() - spared + 1; i-- > 2;)
    if (epochs[i].first == epochs[i - 1].first)
      epochs.erase(epochs.begin() + static_cast<std::ptrdiff_t>(i) - 1);
  if (epochs.size() > epochs_max)
    epochs.erase(epochs.begin(), epochs.end() - static_cast<std::ptrdiff_t>(epochs_max));
}

}  // namespace belfry
