#include "feed/presence_book.h"

namespace belfry {

void PresenceBook::join(const std::string& topic, const std::string& user, std::uint64_t holder,
                        Timestamp now, std::vector<PresenceChange>& changes) {
  leases_[holder] = now + limits::presence_lease;
  auto [it, fresh] = topics_[topic].try_emplace(user, Entry{now, {}});
  ++it->second.held[holder];
  if (fresh) changes.push_back({topic, user, true});
}

void PresenceBook::leave(const std::string& topic, const std::string& user, std::uint64_t holder,
                         Timestamp now) {
  const auto of_topic = topics_.find(topic);
  if (of_topic == topics_.end()) return;
  const auto entry = of_topic->second.find(user);
  if (entry == of_topic->second.end()) return;
  const auto held = entry->second.held.find(holder);
  if (held == entry->second.held.end()) return;
  if (--held->second == 0) entry->second.held.erase(held);
  entry->second.gone_at = now + limits::presence_grace;
}

void PresenceBook::renew(std::uint64_t holder, const std::vector<std::pair<std::string, std::string>>& all,
                         Timestamp now, std::vector<PresenceChange>& changes) {
  leases_[holder] = now + limits::presence_lease;
  for (auto& [topic, users] : topics_)
    for (auto& [user, entry] : users)
      if (entry.held.erase(holder) > 0) entry.gone_at = now + limits::presence_grace;
  for (const auto& [topic, user] : all) join(topic, user, holder, now, changes);
}

void PresenceBook::sweep(Timestamp now, std::vector<PresenceChange>& changes) {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second > now) {
      ++lease;
      continue;
    }
    for (auto& [topic, users] : topics_)
      for (auto& [user, entry] : users) entry.held.erase(lease->first);
    lease = leases_.erase(lease);
  }
  for (auto of_topic = topics_.begin(); of_topic != topics_.end();) {
    std::erase_if(of_topic->second, [&](const auto& row) {
      const bool gone = row.second.held.empty() && row.second.gone_at <= now;
      if (gone) changes.push_back({of_topic->first, row.first, false});
      return gone;
    });
    of_topic = of_topic->second.empty() ? topics_.erase(of_topic) : std::next(of_topic);
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
