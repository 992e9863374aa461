#include "feed/presence_book.h"

#include <algorithm>
#include <utility>

namespace belfry {

bool PresenceBook::renew(std::uint64_t holder, Timestamp now) {
  auto [lease, fresh] = leases_.try_emplace(holder);
  lease->second = now + limits::presence_lease;
  return !fresh;
}

void PresenceBook::join(const std::string& topic, const std::string& user, std::uint64_t holder,
                        Timestamp now, std::vector<PresenceChange>& changes) {
  auto [it, fresh] = topics_[topic].try_emplace(user, Entry{now, {}});
  it->second.held.insert(holder);
  if (fresh) changes.push_back({topic, user, true});
  end_oldest(user, changes);
}

void PresenceBook::end_oldest(const std::string& user, std::vector<PresenceChange>& changes) {
  const auto of_user = leaving_.find(user);
  if (of_user == leaving_.end() || of_user->second.size() < limits::presence_leaving_max) return;
  const Leaving oldest = std::move(of_user->second.front());
  of_user->second.pop_front();
  if (take_out(user, oldest)) changes.push_back({oldest.topic, user, false});
}

PresenceBook::Entry* PresenceBook::find(const std::string& topic, const std::string& user) {
  const auto of_topic = topics_.find(topic);
  if (of_topic == topics_.end()) return nullptr;
  const auto entry = of_topic->second.find(user);
  return entry == of_topic->second.end() ? nullptr : &entry->second;
}

void PresenceBook::leave(const std::string& topic, const std::string& user, std::uint64_t holder,
                         Timestamp now) {
  if (Entry* entry = find(topic, user)) let_go(topic, user, *entry, holder, now);
}

void PresenceBook::let_go(const std::string& topic, const std::string& user, Entry& entry,
                          std::uint64_t holder, Timestamp now) {
  if (entry.held.erase(holder) == 0 || !entry.held.empty()) return;
  entry.gone_at = now + limits::presence_grace;
  leaving_[user].push_back({entry.gone_at, topic});
}

// Nobody has longer from now than the time that is given.
void PresenceBook::begin_anew(Timestamp now) {
  for (auto& [holder, until] : leases_) until = std::min(until, now + limits::presence_lease);
  const Timestamp end = now + limits::presence_grace;
  for (auto& [user, leavings] : leaving_) {
    for (Leaving& leaving : leavings) {
      if (leaving.at <= end) continue;
      leaving.at = end;
      if (Entry* entry = find(leaving.topic, user)) entry->gone_at = std::min(entry->gone_at, end);
    }
  }
}

// Who has leaves to be told, beginning behind whoever had the last one.
std::deque<PresenceBook::Leavings::iterator> PresenceBook::due(Timestamp now) {
  std::deque<Leavings::iterator> out;
  const auto first = leaving_.upper_bound(told_last_);
  const auto add = [&](Leavings::iterator from, Leavings::iterator to) {
    for (auto it = from; it != to && out.size() < limits::presence_leaves_max; ++it)
      if (it->second.front().at <= now) out.push_back(it);
  };
  add(first, leaving_.end());
  add(leaving_.begin(), first);
  return out;
}

bool PresenceBook::take_out(const std::string& user, const Leaving& leaving) {
  const Entry* entry = find(leaving.topic, user);
  // Who came back and left again stands further behind.
  if (entry == nullptr || !entry->held.empty() || entry->gone_at > leaving.at) return false;
  const auto of_topic = topics_.find(leaving.topic);
  of_topic->second.erase(user);
  if (of_topic->second.empty()) topics_.erase(of_topic);
  return true;
}

void PresenceBook::sweep(Timestamp now, std::vector<PresenceChange>& changes) {
  if (now < std::exchange(swept_, now)) begin_anew(now);
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second > now) {
      ++lease;
      continue;
    }
    for (auto& [topic, users] : topics_)
      for (auto& [user, entry] : users) let_go(topic, user, entry, lease->first, now);
    lease = leases_.erase(lease);
  }
  auto users = due(now);
  for (std::size_t told = 0; told < limits::presence_leaves_max && !users.empty();) {
    const auto of_user = users.front();
    users.pop_front();
    const auto& [user, leavings] = *of_user;
    const Leaving leaving = std::move(of_user->second.front());
    of_user->second.pop_front();
    told_last_ = user;
    if (take_out(user, leaving)) {
      changes.push_back({leaving.topic, user, false});
      ++told;
    }
    if (leavings.empty()) {
      leaving_.erase(of_user);
    } else if (leavings.front().at <= now) {
      users.push_back(of_user);
    }
  }
}

std::vector<Present> PresenceBook::list(const std::string& topic) const {
  std::vector<Present> out;
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return out;
  for (const auto& [user, entry] : found->second) out.push_back({user, entry.since});
  return out;
}

}  // namespace belfry
