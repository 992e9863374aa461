#pragma once
// Many topic patterns, asked together: which of them match a name, and which names can match at all.
//
// Values; any thread. The texts of the patterns belong to the caller and outlive the set.
// Bound: a name costs at most two to the power of its segments (256), and no more than the patterns have
// segments in all. With the patterns that people write it costs little more than its own segments.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/topic.h"

namespace belfry {

// Names from `from` on and before `to`, in the order of their bytes. `single`: no other name than `from`.
struct NameRange {
  std::string from;
  std::string to;
  bool single = false;

  bool operator==(const NameRange&) const = default;
};

class PatternSet {
 public:
  // REQUIRES: each is well formed. A repeated pattern counts as two.
  explicit PatternSet(std::span<const std::string_view> patterns);
  // The topics of the selectors.
  explicit PatternSet(std::span<const Selector> selectors);

  // Calls `accept(index)` for the patterns that match the name, in no order, until it returns true; returns
  // whether it did. `work` grows by the comparisons that were made, at least 1. REQUIRES: a topic.
  template <class Accept>
  bool any_of(std::string_view name, std::size_t& work, Accept accept) const {
    return walk(nodes_.front(), name, true, work, accept);
  }
  // Whether any of them matches.
  bool matches(std::string_view name, std::size_t& work) const {
    return any_of(name, work, [](std::size_t) { return true; });
  }

  // The names that can match, in order; the ranges do not overlap. A range may hold names that do not match.
  std::vector<NameRange> ranges() const;

 private:
  using Index = std::uint32_t;
  static constexpr Index none = std::numeric_limits<Index>::max();

  struct Child {
    std::string_view segment;
    Index node;
  };
  // All patterns that begin with the same segments.
  struct Node {
    std::vector<Child> children;  // in the order of their segments, without wildcards
    Index any = none;             // after '+'
    Index ending = none;          // the first pattern that ends here
    Index rest = none;            // the first pattern that ends here with '#'
  };

  void build();
  void add(Index pattern);
  Index child_of(Index node, std::string_view segment);
  static Index find(const Node& node, std::string_view segment);

  template <class Accept>
  bool any_in_list(Index first, std::size_t& work, Accept& accept) const {
    for (Index at = first; at != none; at = next_[at], ++work)
      if (accept(std::size_t{at})) return true;
    return false;
  }

  // `more`: `name` is still to be matched, else nothing is left of it.
  template <class Accept>
  bool walk(const Node& node, std::string_view name, bool more, std::size_t& work, Accept& accept) const {
    ++work;
    if (any_in_list(node.rest, work, accept)) return true;
    if (!more) return any_in_list(node.ending, work, accept);
    const auto end = name.find('/');
    const bool goes_on = end != std::string_view::npos;
    const std::string_view rest = goes_on ? name.substr(end + 1) : std::string_view{};
    const Index same = find(node, name.substr(0, end));
    if (same != none && walk(nodes_[same], rest, goes_on, work, accept)) return true;
    return node.any != none && walk(nodes_[node.any], rest, goes_on, work, accept);
  }

  std::vector<std::string_view> patterns_;
  std::vector<Index> next_;  // the next pattern in the list of the same node
  std::vector<Node> nodes_;  // the root first
};

}  // namespace belfry
