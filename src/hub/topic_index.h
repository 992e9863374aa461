#pragma once
// Which sessions an event is for. Sessions with the same selector form a group; a topic is matched against
// the groups' patterns once, not once per session, and the result is kept until a pattern comes or goes.
//
// Owner: Shard. Thread: the shard's. Bound: one group per distinct selector of the attached sessions.
// Cost:  joining and leaving do not depend on how many groups there are; leaving walks the selectors of two
//        sessions.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hub/groups.h"

namespace belfry {

class TopicIndex {
 public:
  // False if the session was a member already.
  bool join(Session& session, const Selector& selector);
  // False if it was not a member.
  bool leave(Session& session, const Selector& selector);
  // What it asks for of topics that its user follows.
  void leave_followed(Session& session);
  void leave_all(Session& session);

  using Patterns = std::vector<const PatternGroups*>;
  // The patterns that match the topic, into `out`.
  void find(std::string_view topic, Patterns& out) const;
  // Changes whenever a pattern comes or goes; what find() gave before is then void.
  std::uint64_t version() const { return version_; }

  // The groups of these patterns that an event of theirs is for, each once, into `out`. Gives the number of
  // comparisons of types; it grows with the groups that are found, not with those that there are.
  std::size_t select(const Patterns& patterns, const Event& event, std::vector<Group*>& out);
  // All groups of these patterns, whatever types they ask for.
  static void select_all(const Patterns& patterns, std::vector<Group*>& out);
  std::size_t groups() const { return group_count_; }
  // Distinct patterns that are asked for; nothing is kept of others.
  std::size_t patterns() const { return by_pattern_.size(); }

 private:
  void leave_at(Session& session, std::size_t membership);
  void remove_group(Group& group);

  std::unordered_map<std::string, PatternGroups, KeyedHash, std::equal_to<>> by_pattern_;
  PatternTrie<const PatternGroups*> wild_{'/'};  // of the patterns with wildcards
  std::uint64_t version_ = 1;
  std::uint64_t look_ = 0;  // counts select()
  std::size_t group_count_ = 0;
};

}  // namespace belfry
