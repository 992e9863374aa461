#pragma once
// Which sessions an event is for. Sessions with the same selector form a group; a topic is matched against
// the groups' patterns once, not once per session, and the result is kept until a group comes or goes.
//
// Owner: Shard. Thread: the shard's. Bound: one group per distinct selector of the attached sessions.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hub/session.h"
#include "model/model.h"

namespace belfry {

struct Group {
  Selector selector;
  std::vector<Session*> members;
  std::unique_ptr<Group> next;  // same pattern, other types
};

class TopicIndex {
 public:
  TopicIndex();
  ~TopicIndex();

  // False if the session was a member already.
  bool join(Session& session, const Selector& selector);
  // False if it was not a member.
  bool leave(Session& session, const Selector& selector);
  void leave_all(Session& session);

  // The groups whose pattern matches the topic, into `out`.
  void find(std::string_view topic, std::vector<Group*>& out) const;
  // Changes whenever a group comes or goes; what find() gave before is then void.
  std::uint64_t version() const { return version_; }
  std::size_t groups() const { return group_count_; }

 private:
  struct Node;
  struct Chain {
    std::unique_ptr<Group> first;
  };

  void leave_at(Session& session, std::size_t membership);
  void remove_group(Group* group);
  void add_pattern(const std::string& pattern, Chain* chain);
  void remove_pattern(const std::string& pattern);
  static void walk(const Node& node, std::string_view rest, bool ended, std::vector<Group*>& out);
  static void append_chain(const Chain* chain, std::vector<Group*>& out);

  std::unordered_map<std::string, Chain, KeyedHash, std::equal_to<>> by_pattern_;
  std::unique_ptr<Node> root_;  // of the patterns with wildcards, segment by segment
  std::uint64_t version_ = 1;
  std::size_t group_count_ = 0;
};

}  // namespace belfry
