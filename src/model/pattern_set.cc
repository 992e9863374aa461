#include "model/pattern_set.h"

#include <algorithm>
#include <utility>

namespace belfry {
namespace {

// Lower than every character of a topic.
constexpr char kLowest = '\x01';
// The character after '/'.
constexpr char kAfterSlash = '/' + 1;
// Higher than every character of a topic.
constexpr char kHighest = '\x7f';

void add_ranges(std::string_view pattern, std::vector<NameRange>& ranges) {
  const auto wildcard = pattern.find_first_of("+#");
  if (wildcard == std::string_view::npos) {
    ranges.push_back({std::string(pattern), std::string(pattern) + kLowest, true});
    return;
  }
  if (wildcard == 0) return ranges.push_back({"", std::string(1, kHighest), false});
  const std::string before(pattern.substr(0, wildcard - 1));  // without the '/'
  if (pattern[wildcard] == '#') ranges.push_back({before, before + kLowest, true});
  ranges.push_back({before + '/', before + kAfterSlash, false});
}

}  // namespace

PatternSet::PatternSet(std::span<const std::string_view> patterns)
    : patterns_(patterns.begin(), patterns.end()) {
  build();
}

PatternSet::PatternSet(std::span<const Selector> selectors) {
  patterns_.reserve(selectors.size());
  for (const Selector& selector : selectors) patterns_.push_back(selector.topic);
  build();
}

void PatternSet::build() {
  nodes_.emplace_back();
  next_.assign(patterns_.size(), none);
  // In order, so that a new child comes last among its siblings, or nearly so.
  std::vector<Index> order(patterns_.size());
  for (Index i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [this](Index a, Index b) { return patterns_[a] < patterns_[b]; });
  for (const Index pattern : order) add(pattern);
}

void PatternSet::add(Index pattern) {
  Index node = 0;
  std::string_view rest = patterns_[pattern];
  for (bool more = true; more;) {
    const auto end = rest.find('/');
    const auto segment = rest.substr(0, end);
    more = end != std::string_view::npos;
    rest = more ? rest.substr(end + 1) : std::string_view{};
    if (segment == "#") {
      next_[pattern] = std::exchange(nodes_[node].rest, pattern);
      return;
    }
    node = child_of(node, segment);
  }
  next_[pattern] = std::exchange(nodes_[node].ending, pattern);
}

PatternSet::Index PatternSet::child_of(Index node, std::string_view segment) {
  const auto fresh = static_cast<Index>(nodes_.size());
  if (segment == "+") {
    if (nodes_[node].any != none) return nodes_[node].any;
    nodes_[node].any = fresh;
  } else {
    auto& children = nodes_[node].children;
    const auto place = std::ranges::lower_bound(children, segment, {}, &Child::segment);
    if (place != children.end() && place->segment == segment) return place->node;
    children.insert(place, {segment, fresh});
  }
  nodes_.emplace_back();
  return fresh;
}

PatternSet::Index PatternSet::find(const Node& node, std::string_view segment) {
  const auto place = std::ranges::lower_bound(node.children, segment, {}, &Child::segment);
  return place != node.children.end() && place->segment == segment ? place->node : none;
}

std::vector<NameRange> PatternSet::ranges() const {
  std::vector<NameRange> all;
  for (const auto pattern : patterns_) add_ranges(pattern, all);
  std::sort(all.begin(), all.end(), [](const NameRange& a, const NameRange& b) { return a.from < b.from; });
  std::vector<NameRange> merged;
  for (auto& range : all) {
    if (merged.empty() || merged.back().to <= range.from) {
      merged.push_back(std::move(range));
      continue;
    }
    NameRange& last = merged.back();
    if (last.to < range.to) last.to = std::move(range.to);
    last.single = last.single && range.single;  // equal ones are one
  }
  return merged;
}

}  // namespace belfry
