#pragma once
// How many there are of each name, for caps. Names come from outside, so the hash is keyed; slots are used
// again.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"

namespace belfry {

class CountTable {
 public:
  // No slot if there are `max` already. An empty name is not counted: slot 0.
  std::optional<std::uint32_t> take(std::string_view name, std::uint64_t max) {
    if (name.empty()) return 0;
    const auto [found, fresh] = slots_.try_emplace(std::string(name), 0);
    if (fresh) {
      if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(rows_.size()));
        rows_.emplace_back();
      }
      found->second = free_.back();
      free_.pop_back();
      rows_[found->second] = {0, found->first};
    }
    Row& row = rows_[found->second];
    if (row.count >= max) return std::nullopt;
    ++row.count;
    return found->second;
  }

  void give_back(std::uint32_t slot) {
    if (slot == 0 || --rows_[slot].count > 0) return;
    slots_.erase(rows_[slot].name);
    rows_[slot].name = std::string();
    free_.push_back(slot);
  }

  // Names with a count.
  std::size_t size() const { return slots_.size(); }

 private:
  struct Row {
    std::uint64_t count = 0;
    std::string name;
  };
  std::vector<Row> rows_{Row{}};  // slot 0 is nobody's
  std::vector<std::uint32_t> free_;
  std::unordered_map<std::string, std::uint32_t, KeyedHash> slots_;
};

}  // namespace belfry
