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
}

void PresenceBook::leave(const std::string& topic, const std::string& user, std::uint64_t holder,
                         Timestamp now) {
  const auto of_topic = topics_.find(topic);
  if (of_topic == topics_.end()) return;
  const auto entry = of_topic->second.find(user);
  if (entry != of_topic->second.end()) let_go(topic, user, entry->second, holder, now);
}

void PresenceBook::let_go(const std::string& topic, const std::string& user, Entry& entry,
                          std::uint64_t holder, Timestamp now) {
  if (entry.held.erase(holder) == 0 || !entry.held.empty()) return;
  entry.gone_at = now + limits::presence_grace;
  leaving_.push_back({entry.gone_at, topic, user});
}

// Nobody has longer from now than the time that is given.
void PresenceBook::begin_anew(Timestamp now) {
  for (auto& [holder, until] : leases_) until = std::min(until, now + limits::presence_lease);
  const Timestamp end = now + limits::presence_grace;
  for (Leaving& leaving : leaving_) {
    if (leaving.at <= end) continue;
    leaving.at = end;
    const auto of_topic = topics_.find(leaving.topic);
    if (of_topic == topics_.end()) continue;
    const auto entry = of_topic->second.find(leaving.user);
    if (entry != of_topic->second.end()) entry->second.gone_at = std::min(entry->second.gone_at, end);
  }
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
  for (std::size_t told = 0;
       told < limits::presence_leaves_max && !leaving_.empty() && leaving_.front().at <= now;) {
    const Leaving leaving = std::move(leaving_.front());
    leaving_.pop_front();
    const auto of_topic = topics_.find(leaving.topic);
    if (of_topic == topics_.end()) continue;
    const auto entry = of_topic->second.find(leaving.user);
    // Who came back and left again stands further behind.
    const bool gone = entry != of_topic->second.end() && entry->second.held.empty() &&
                      entry->second.gone_at <= leaving.at;
    if (!gone) continue;
    of_topic->second.erase(entry);
    if (of_topic->second.empty()) topics_.erase(of_topic);
    changes.push_back({leaving.topic, leaving.user, false});
    ++told;
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
