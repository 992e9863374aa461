#include "truth.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace belfry::sim {

void Truth::observe(const MemoryDisk& disk) {
  for (auto it = disk.log.upper_bound(head()); it != disk.log.end(); ++it)
    history_.push_back({it->second, next_serial_++, 0, known_ = std::max(it->second.time, known_), dated_});
  newest_ = std::max(newest_, known_);
}

void Truth::observe_dating(Instant now, Timestamp wall) {
  dated_ = now;
  known_ = std::max(known_, wall);
  newest_ = std::max(newest_, known_);
}

void Truth::restart(const MemoryDisk& disk) {
  observe(disk);
  known_ = disk.log.empty() ? Timestamp{} : at(disk.log.rbegin()->first)->not_before;
  newest_ = known_;
  for (const Fact& fact : history_) newest_ = std::max(newest_, fact.not_before);
}

void Truth::observe_gone(const MemoryDisk& disk) {
  observe(disk);
  ++looks_;
  forgotten_ = disk.forgotten;
  for (Fact& fact : history_)
    if (fact.gone == 0 && !disk.log.contains(fact.event.offset)) fact.gone = looks_;
}

void Truth::rewind(const MemoryDisk& disk) {
  history_.resize(disk.head);
  for (Fact& fact : history_) fact.gone = 0;
  observe_gone(disk);
  restart(disk);
}

Timestamp Truth::earliest_since(Offset offset) const {
  Timestamp earliest{Duration::max()};
  for (Offset at = offset; at <= head(); ++at)
    earliest = std::min(earliest, history_[at - 1].event.time);
  return earliest;
}

std::uint64_t Truth::newer(const Event& event) const {
  const bool is_own = event.type.starts_with(own_types);
  std::uint64_t own = 0, others = 0;
  for (Offset at = event.offset + 1; at <= head(); ++at) {
    const Event& later = history_[at - 1].event;
    if (later.topic == event.topic) ++(later.type.starts_with(own_types) ? own : others);
  }
  return std::max(others, is_own ? own : 0);
}

const Fact* Truth::at(Offset offset) const {
  return offset >= 1 && offset <= head() ? &history_[offset - 1] : nullptr;
}

std::uint64_t Truth::serial_at(Offset position) const {
  const Fact* fact = at(position);
  return fact == nullptr ? 0 : fact->serial;
}

bool Truth::superseded(const Event& event) const {
  if (!event.is_refresh()) return false;
  // Near ones are looked at first, and there is nearly always one.
  return std::any_of(history_.begin() + static_cast<std::ptrdiff_t>(event.offset), history_.end(),
                     [&](const Fact& later) {
                       return later.event.is_refresh() && later.event.topic == event.topic &&
                              later.event.keys == event.keys;
                     });
}

std::string Acknowledgements::repeated(const std::string& key, const Published& published) {
  // Its first answer was lost, or its day is over: how long it still counts is not known.
  if (published.replayed && !keys_.contains(key)) return {};
  std::vector<Cursor> cursors;
  for (const auto& placed : published.events)
    if (placed.cursor.offset != 0) cursors.push_back(placed.cursor);
  const auto [it, fresh] = keys_.emplace(key, cursors);
  if (fresh) return {};
  return it->second == cursors ? std::string() : "same_key_same_event: " + key;
}

void Acknowledgements::rewind(const Truth& truth) {
  unseen_.clear();
  seen_upto_ = std::min(seen_upto_, truth.head());
  keys_.clear();
}

void Acknowledgements::look(const Truth& truth, Offset after) {
  std::unordered_set<std::string_view> there;
  for (Offset offset = after + 1; offset <= truth.head(); ++offset)
    there.insert(truth.at(offset)->event.data);
  std::erase_if(unseen_, [&](const std::string& value) { return there.contains(value); });
}

std::string Acknowledgements::missing(const Truth& truth) {
  look(truth, seen_upto_);
  if (!unseen_.empty()) look(truth, 0);  // of an earlier publish, whose answer was lost
  seen_upto_ = truth.head();
  return unseen_.empty()
             ? std::string()
             : "acked_is_durable: " + *unseen_.begin() + " was acknowledged and is not there";
}

}  // namespace belfry::sim
