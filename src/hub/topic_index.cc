#include "hub/topic_index.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace belfry {
namespace {

// The first segment of `rest`, which loses it and the separator; `ended` is set when nothing is left.
std::string_view take_segment(std::string_view& rest, bool& ended) {
  const auto at = rest.find('/');
  const auto segment = rest.substr(0, at);
  ended = at == std::string_view::npos;
  rest = ended ? std::string_view{} : rest.substr(at + 1);
  return segment;
}

}  // namespace

struct TopicIndex::Node {
  std::unordered_map<std::string, std::unique_ptr<Node>, KeyedHash, std::equal_to<>>
      children;           // "+" among them
  Chain* here = nullptr;  // a pattern that ends at this node
  Chain* rest = nullptr;  // a pattern that goes on with '#'

  bool empty() const { return children.empty() && here == nullptr && rest == nullptr; }
};

TopicIndex::TopicIndex() : root_(std::make_unique<Node>()) {}

TopicIndex::~TopicIndex() = default;

bool TopicIndex::join(Session& session, const Selector& selector) {
  for (const auto& membership : session.memberships)
    if (membership.group->selector == selector) return false;
  auto [it, fresh] = by_pattern_.try_emplace(selector.topic);
  Chain& chain = it->second;
  if (fresh && has_wildcard(selector.topic)) add_pattern(selector.topic, &chain);
  Group* group = chain.first.get();
  while (group != nullptr && group->selector != selector) group = group->next.get();
  if (group == nullptr) {
    chain.first = std::make_unique<Group>(Group{selector, {}, std::move(chain.first)});
    group = chain.first.get();
    ++version_;
    ++group_count_;
  }
  session.memberships.push_back({group, static_cast<std::uint32_t>(group->members.size())});
  group->members.push_back(&session);
  return true;
}

bool TopicIndex::leave(Session& session, const Selector& selector) {
  for (std::size_t i = 0; i < session.memberships.size(); ++i) {
    if (session.memberships[i].group->selector != selector) continue;
    leave_at(session, i);
    return true;
  }
  return false;
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
    for (auto& other : moved->memberships)
      if (other.group == gone.group) other.index = gone.index;
  }
  members.pop_back();
  if (members.empty()) remove_group(gone.group);
}

void TopicIndex::remove_group(Group* group) {
  ++version_;
  --group_count_;
  const auto it = by_pattern_.find(group->selector.topic);
  std::unique_ptr<Group>* link = &it->second.first;
  while (link->get() != group) link = &(*link)->next;
  *link = std::move(group->next);
  if (it->second.first != nullptr) return;
  if (has_wildcard(it->first)) remove_pattern(it->first);
  by_pattern_.erase(it);
}

void TopicIndex::add_pattern(const std::string& pattern, Chain* chain) {
  Node* node = root_.get();
  std::string_view rest = pattern;
  for (bool ended = false; !ended;) {
    const auto segment = take_segment(rest, ended);
    if (segment == "#") {
      node->rest = chain;
      return;
    }
    auto& child = node->children[std::string(segment)];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
  }
  node->here = chain;
}

void TopicIndex::remove_pattern(const std::string& pattern) {
  std::vector<std::pair<Node*, std::string>> path;  // a node, and the child taken from it
  Node* node = root_.get();
  std::string_view rest = pattern;
  bool to_rest = false;
  for (bool ended = false; !ended;) {
    const auto segment = take_segment(rest, ended);
    if (segment == "#") {
      to_rest = true;
      break;
    }
    path.emplace_back(node, segment);
    node = node->children.find(segment)->second.get();
  }
  (to_rest ? node->rest : node->here) = nullptr;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    const auto child = it->first->children.find(it->second);
    if (!child->second->empty()) break;
    it->first->children.erase(child);
  }
}

void TopicIndex::append_chain(const Chain* chain, std::vector<Group*>& out) {
  if (chain == nullptr) return;
  for (Group* group = chain->first.get(); group != nullptr; group = group->next.get()) out.push_back(group);
}

// `ended`: the topic has no segment left at this node.
void TopicIndex::walk(const Node& node, std::string_view rest, bool ended, std::vector<Group*>& out) {
  append_chain(node.rest, out);
  if (ended) {
    append_chain(node.here, out);
    return;
  }
  bool last = false;
  const auto segment = take_segment(rest, last);
  for (const std::string_view name : {segment, std::string_view("+")}) {
    const auto child = node.children.find(name);
    if (child != node.children.end()) walk(*child->second, rest, last, out);
  }
}

void TopicIndex::find(std::string_view topic, std::vector<Group*>& out) const {
  out.clear();
  if (topic.empty()) return;  // a hole in the log
  const auto exact = by_pattern_.find(topic);
  if (exact != by_pattern_.end()) append_chain(&exact->second, out);
  if (!root_->empty()) walk(*root_, topic, false, out);
}

}  // namespace belfry
