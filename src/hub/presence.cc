// Sessions on topics that keep presence tell who is behind them.

#include <algorithm>

#include "hub/shard_parts.h"

namespace belfry {

bool Shard::keeps_presence(const std::string& topic) const {
  return std::any_of(options_.presence.begin(), options_.presence.end(),
                     [&](const std::string& pattern) { return matches(pattern, topic); });
}

void Shard::appear(Session& session, const std::vector<Selector>& selectors, const std::string& user) {
  if (options_.presence_port == nullptr || user.empty()) return;
  auto& part = session.presence;
  for (const Selector& selector : selectors) {
    if (has_wildcard(selector.topic) || !keeps_presence(selector.topic)) continue;
    if (!part) part = std::make_unique<PresencePart>(PresencePart{user, {}});
    auto& topics = part->topics;
    if (std::find(topics.begin(), topics.end(), selector.topic) != topics.end()) continue;
    topics.push_back(selector.topic);
    options_.presence_port->joined(selector.topic, user);
  }
}

void Shard::disappear(Session& session, const std::vector<Selector>& selectors) {
  if (!session.presence) return;
  for (const Selector& selector : selectors)
    if (std::erase(session.presence->topics, selector.topic) > 0)
      options_.presence_port->left(selector.topic, session.presence->user);
}

void Shard::vanish(Session& session) {
  if (!session.presence) return;
  for (const auto& topic : session.presence->topics)
    options_.presence_port->left(topic, session.presence->user);
}

}  // namespace belfry
