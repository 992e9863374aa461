#pragma once
// Many patterns over names, kept segment by segment: those that match a name are found without a look at the
// others. For topics (separator '/') and for types ('.'); the grammar is in model/topic.h.
//
// Owner: TopicIndex and TypedGroups. Thread: the shard's. Bound: the patterns that are put in.
// Cost:  a match visits at most 2 to the power of n nodes on level n of a name, and none that has no pattern
//        below it.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/base.h"

namespace belfry {

// A value that equals Value{} counts as none.
template <class Value>
class PatternTrie {
 public:
  explicit PatternTrie(char separator) : separator_(separator) {}

  bool empty() const { return root_.empty(); }

  // The value of the pattern, to be read or set. Its place stays where it is until prune().
  Value& at(std::string_view pattern) {
    Node* node = &root_;
    for (bool ended = false; !ended;) {
      const auto segment = take_segment(pattern, ended);
      if (segment == "#") return node->rest;
      auto& child = node->children[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
    }
    return node->here;
  }

  // REQUIRES: at(pattern) was called and its value is none again. Frees what nothing hangs on.
  void prune(std::string_view pattern) {
    std::vector<std::pair<Node*, std::string_view>> path;  // a node, and the child taken from it
    Node* node = &root_;
    for (bool ended = false; !ended;) {
      const auto segment = take_segment(pattern, ended);
      if (segment == "#") break;
      path.emplace_back(node, segment);
      node = node->children.find(segment)->second.get();
    }
    for (auto it = path.rbegin(); it != path.rend(); ++it) {
      const auto child = it->first->children.find(it->second);
      if (!child->second->empty()) break;
      it->first->children.erase(child);
    }
  }

  // Calls visit(value) once for each pattern that matches the name. Gives the number of nodes it looked at.
  template <class Visit>
  std::size_t match(std::string_view name, Visit&& visit) const {
    return empty() ? 1 : match_at(root_, name, false, visit);
  }

 private:
  struct Node {
    std::unordered_map<std::string, std::unique_ptr<Node>, KeyedHash, std::equal_to<>>
        children;  // "+" among them
    Value here{};  // of the pattern that ends at this node
    Value rest{};  // of the pattern that goes on with '#'

    bool empty() const { return children.empty() && here == Value{} && rest == Value{}; }
  };

  // The first segment of `rest`, which loses it and the separator; `ended` is set when nothing is left.
  std::string_view take_segment(std::string_view& rest, bool& ended) const {
    const auto at = rest.find(separator_);
    const auto segment = rest.substr(0, at);
    ended = at == std::string_view::npos;
    rest = ended ? std::string_view{} : rest.substr(at + 1);
    return segment;
  }

  // `ended`: the name has no segment left at this node.
  template <class Visit>
  std::size_t match_at(const Node& node, std::string_view name, bool ended, Visit& visit) const {
    if (!(node.rest == Value{})) visit(node.rest);
    if (ended) {
      if (!(node.here == Value{})) visit(node.here);
      return 1;
    }
    std::size_t looked_at = 1;
    bool last = false;
    const auto segment = take_segment(name, last);
    for (const std::string_view way : {segment, std::string_view("+")}) {
      const auto child = node.children.find(way);
      if (child != node.children.end()) looked_at += match_at(*child->second, name, last, visit);
    }
    return looked_at;
  }

  const char separator_;
  Node root_;
};

}  // namespace belfry
