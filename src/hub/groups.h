#pragma once
// The sessions that ask for the same form a group. Here: the groups of one topic pattern, apart by whether
// they want notifications only, and found by the type of an event without a look at each.
//
// Owner: TopicIndex. Thread: the shard's. Bound: one group per distinct selector of the attached sessions.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "hub/pattern_trie.h"
#include "hub/session.h"
#include "model/model.h"

namespace belfry {

struct Group {
  explicit Group(const Selector& of) : selector(of) {}

  const Selector selector;
  std::vector<Session*> members;

  // Of TypedGroups alone.
  std::vector<std::uint32_t> places{};  // for each type: where the group stands among those of its pattern
  std::uint32_t at = 0;                 // where it stands among all
  std::uint64_t look = 0;               // the last look that found it
};

// Groups with types, of one topic pattern.
class TypedGroups {
 public:
  // Null if there is none.
  Group* find(const std::vector<std::string>& types) const;
  // REQUIRES: there is none of these types, which are sorted, without repeats, and not empty.
  Group& add(const Selector& selector);
  // The group is then gone.
  void remove(Group& group);

  // Those that ask for the type, appended to `out`, each once. Gives the number of comparisons: some for
  // each group that is found and none for others. REQUIRES: `look` was not used before.
  std::size_t select(std::string_view type, std::uint64_t look, std::vector<Group*>& out) const;
  const std::vector<Group*>& all() const { return all_; }

 private:
  // A group among those that have the same type pattern.
  struct Place {
    Group* group;
    std::uint32_t which;  // of the group's types
    bool operator==(const Place&) const = default;
  };
  struct ByTypes {
    using is_transparent = void;
    std::size_t operator()(const std::vector<std::string>& types) const;
    std::size_t operator()(const std::unique_ptr<Group>& group) const {
      return (*this)(group->selector.types);
    }
    bool operator()(const std::unique_ptr<Group>& a, const std::unique_ptr<Group>& b) const {
      return a->selector.types == b->selector.types;
    }
    bool operator()(const std::vector<std::string>& types, const std::unique_ptr<Group>& group) const {
      return types == group->selector.types;
    }
    bool operator()(const std::unique_ptr<Group>& group, const std::vector<std::string>& types) const {
      return types == group->selector.types;
    }
  };

  void put_in_trie(Group& group);
  void take_from_trie(Group& group);

  std::unordered_set<std::unique_ptr<Group>, ByTypes, ByTypes> by_types_;
  std::vector<Group*> all_;
  std::size_t types_ = 0;  // of all groups together
  std::unique_ptr<PatternTrie<std::vector<Place>>> trie_;  // as soon as there are more than a few types
};

// The groups of one topic pattern.
struct PatternGroups {
  struct Part {
    std::unique_ptr<Group> plain;        // without types
    std::unique_ptr<TypedGroups> typed;  // null: none
    bool empty() const { return !plain && !typed; }
  };
  std::array<Part, 2> parts;  // for all events; for notifications only

  bool empty() const { return parts[0].empty() && parts[1].empty(); }
  // The selector's topic is this pattern. Null if there is none.
  Group* find(const Selector& selector) const;
  Group& add(const Selector& selector);
  void remove(Group& group);
};

}  // namespace belfry
