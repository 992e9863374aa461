#include "hub/groups.h"

namespace belfry {
namespace {

// Up to so many types are compared one by one; more are kept in a trie.
constexpr std::size_t kFewTypes = 8;

}  // namespace

std::size_t TypedGroups::ByTypes::operator()(const std::vector<std::string>& types) const {
  std::uint64_t hash = 0;
  for (const auto& type : types) hash = (hash ^ keyed_hash(type)) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

Group* TypedGroups::find(const std::vector<std::string>& types) const {
  const auto found = by_types_.find(types);
  return found == by_types_.end() ? nullptr : found->get();
}

Group& TypedGroups::add(const Selector& selector) {
  Group& group = **by_types_.insert(std::make_unique<Group>(selector)).first;
  group.at = static_cast<std::uint32_t>(all_.size());
  all_.push_back(&group);
  types_ += selector.types.size();
  if (trie_) {
    put_in_trie(group);
  } else if (types_ > kFewTypes) {
    trie_ = std::make_unique<PatternTrie<std::vector<Place>>>('.');
    for (Group* each : all_) put_in_trie(*each);
  }
  return group;
}

void TypedGroups::remove(Group& group) {
  if (trie_) take_from_trie(group);
  types_ -= group.selector.types.size();
  all_[group.at] = all_.back();
  all_[group.at]->at = group.at;
  all_.pop_back();
  by_types_.erase(by_types_.find(group.selector.types));
}

void TypedGroups::put_in_trie(Group& group) {
  const auto& types = group.selector.types;
  for (std::uint32_t which = 0; which < types.size(); ++which) {
    auto& places = trie_->at(types[which]);
    group.places.push_back(static_cast<std::uint32_t>(places.size()));
    places.push_back({&group, which});
  }
}

void TypedGroups::take_from_trie(Group& group) {
  const auto& types = group.selector.types;
  for (std::uint32_t which = 0; which < types.size(); ++which) {
    auto& places = trie_->at(types[which]);
    const std::uint32_t gap = group.places[which];
    places[gap] = places.back();
    places[gap].group->places[places[gap].which] = gap;
    places.pop_back();
    if (places.empty()) trie_->prune(types[which]);
  }
}

std::size_t TypedGroups::select(std::string_view type, std::uint64_t look, std::vector<Group*>& out) const {
  if (!trie_) {
    for (Group* group : all_)
      if (group->selector.accepts_type(type)) out.push_back(group);
    return types_;
  }
  std::size_t places_seen = 0;
  const std::size_t nodes = trie_->match(type, [&](const std::vector<Place>& places) {
    places_seen += places.size();
    for (const Place& place : places)
      if (std::exchange(place.group->look, look) != look) out.push_back(place.group);
  });
  return nodes + places_seen;
}

Group* PatternGroups::find(const Selector& selector) const {
  const Part& part = parts[selector.notifications_only];
  if (selector.types.empty()) return part.plain.get();
  return part.typed ? part.typed->find(selector.types) : nullptr;
}

Group& PatternGroups::add(const Selector& selector) {
  Part& part = parts[selector.notifications_only];
  if (selector.types.empty()) {
    part.plain = std::make_unique<Group>(selector);
    return *part.plain;
  }
  if (!part.typed) part.typed = std::make_unique<TypedGroups>();
  return part.typed->add(selector);
}

void PatternGroups::remove(Group& group) {
  Part& part = parts[group.selector.notifications_only];
  if (part.plain.get() == &group) {
    part.plain.reset();
    return;
  }
  part.typed->remove(group);
  if (part.typed->all().empty()) part.typed.reset();
}

}  // namespace belfry
