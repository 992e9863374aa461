#include "hub/topic_index.h"

#include <algorithm>

namespace belfry {
namespace {

// Where the session holds its place in the group; the number of its places if it is no member.
std::size_t find_membership(const Session& session, const Group* group) {
  const auto& all = session.memberships;
  return static_cast<std::size_t>(
      std::find_if(all.begin(), all.end(), [group](const Membership& m) { return m.group == group; }) -
      all.begin());
}

}  // namespace

bool TopicIndex::join(Session& session, const Selector& selector) {
  const auto [it, fresh] = by_pattern_.try_emplace(selector.topic);
  PatternGroups& groups = it->second;
  if (fresh) {
    ++version_;
    if (has_wildcard(selector.topic)) wild_.at(selector.topic) = &groups;
  }
  Group* group = groups.find(selector);
  if (group == nullptr) {
    group = &groups.add(selector);
    ++group_count_;
  } else if (find_membership(session, group) < session.memberships.size()) {
    return false;
  }
  session.memberships.push_back({group, static_cast<std::uint32_t>(group->members.size())});
  group->members.push_back(&session);
  return true;
}

bool TopicIndex::leave(Session& session, const Selector& selector) {
  const auto groups = by_pattern_.find(selector.topic);
  if (groups == by_pattern_.end()) return false;
  const Group* group = groups->second.find(selector);
  if (group == nullptr) return false;
  const std::size_t membership = find_membership(session, group);
  if (membership == session.memberships.size()) return false;
  leave_at(session, membership);
  return true;
}

void TopicIndex::leave_followed(Session& session) {
  for (std::size_t i = session.memberships.size(); i-- > 0;)
    if (session.memberships[i].group->selector.notifications_only) leave_at(session, i);
}

void TopicIndex::leave_all(Session& session) {
  while (!session.memberships.empty()) leave_at(session, session.memberships.size() - 1);
}

void TopicIndex::leave_at(Session& session, std::size_t membership) {
  const Membership gone = session.memberships[membership];
  session.memberships.erase(session.memberships.begin() + static_cast<std::ptrdiff_t>(membership));
  auto& members = gone.group->members;
  if (gone.index + 1 < members.size()) {
    Session* moved = members.back();
    members[gone.index] = moved;
    moved->memberships[find_membership(*moved, gone.group)].index = gone.index;
  }
  members.pop_back();
  if (members.empty()) remove_group(*gone.group);
}

void TopicIndex::remove_group(Group& group) {
  --group_count_;
  const auto it = by_pattern_.find(group.selector.topic);
  it->second.remove(group);
  if (!it->second.empty()) return;
  ++version_;
  if (has_wildcard(it->first)) {
    wild_.at(it->first) = nullptr;
    wild_.prune(it->first);
  }
  by_pattern_.erase(it);
}

void TopicIndex::find(std::string_view topic, Patterns& out) const {
  out.clear();
  if (topic.empty()) return;  // a hole in the log
  const auto exact = by_pattern_.find(topic);
  if (exact != by_pattern_.end()) out.push_back(&exact->second);
  if (!wild_.empty()) wild_.match(topic, [&out](const PatternGroups* groups) { out.push_back(groups); });
}

std::size_t TopicIndex::select(const Patterns& patterns, const Event& event, std::vector<Group*>& out) {
  out.clear();
  ++look_;
  std::size_t compared = 0;
  const std::size_t parts = event.notification.empty() ? 1 : 2;
  for (const PatternGroups* groups : patterns) {
    for (std::size_t i = 0; i < parts; ++i) {
      const auto& part = groups->parts[i];
      if (part.plain) out.push_back(part.plain.get());
      if (part.typed) compared += part.typed->select(event.type, look_, out);
    }
  }
  return compared;
}

void TopicIndex::select_all(const Patterns& patterns, std::vector<Group*>& out) {
  out.clear();
  for (const PatternGroups* groups : patterns) {
    for (const auto& part : groups->parts) {
      if (part.plain) out.push_back(part.plain.get());
      if (part.typed) out.insert(out.end(), part.typed->all().begin(), part.typed->all().end());
    }
  }
}

}  // namespace belfry
