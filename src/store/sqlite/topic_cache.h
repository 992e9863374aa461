#pragma once
// What the writer remembers of topics: row id and last seq. Two generations: when the young one is full,
// the old one is forgotten, so the newest are always here. Private to sqlite/.
//
// Always: a topic with rows that are not indexed yet is here, because its last seq cannot be found
// otherwise.

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/base.h"
#include "model/model.h"

namespace belfry::sqlite {

struct TopicState {
  std::int64_t id = 0;
  Seq last_seq = 0;
  std::uint64_t last_plain = 0;  // its events without those that Belfry itself wrote
};

class TopicCache {
 public:
  // Null if not remembered. The pointer is valid until the next put().
  TopicState* find(std::string_view name) {
    if (const auto it = young_.find(name); it != young_.end()) return &it->second;
    const auto it = old_.find(name);
    if (it == old_.end()) return nullptr;
    const TopicState state = it->second;
    return &put(name, state);
  }

  TopicState& put(std::string_view name, TopicState state) {
    if (young_.size() >= kGeneration) {
      old_.swap(young_);
      young_.clear();
    }
    return young_[std::string(name)] = state;
  }

  void forget(std::string_view name) {
    for (Map* map : {&young_, &old_})
      if (const auto it = map->find(name); it != map->end()) map->erase(it);
  }

  void clear() {
    young_.clear();
    old_.clear();
  }

 private:
  static constexpr std::size_t kGeneration = 200'000;
  static_assert(kGeneration > 3 * limits::index_batch_rows,
                "topics of rows that are not indexed must stay");

  using Map = std::unordered_map<std::string, TopicState, KeyedHash, std::equal_to<>>;
  Map young_;
  Map old_;
};

}  // namespace belfry::sqlite
