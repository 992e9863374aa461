#include "log/tail.h"

#include <algorithm>

namespace belfry {

Entry::~Entry() {
  for (auto& slot : frames_) delete slot.load(std::memory_order_relaxed);
}

const std::string& Entry::keep(Slot& slot, std::string bytes) {
  auto made = std::make_unique<const std::string>(std::move(bytes));
  const std::string* expected = nullptr;
  if (slot.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel,
                                   std::memory_order_acquire))
    return *made.release();
  return *expected;  // another thread was first
}

Batch::Batch(std::vector<Event> events) {
  CHECK(!events.empty());
  for (auto& event : events) {
    bytes += sizeof(Entry) + event.bytes();
    entries.emplace_back(std::move(event));
  }
}

void Tail::append(BatchPtr batch) {
  const bool durable = batch->entries.front().event().durable();
  std::lock_guard lock(mutex_);
  const std::uint64_t version = version_.load(std::memory_order_relaxed) + 1;
  if (durable) {
    CHECK(batch->entries.front().event().offset == head() + 1);
    bytes_ += batch->bytes;
    head_.store(batch->last(), std::memory_order_release);
    slots_.push_back({std::move(batch), version});
  } else {
    ephemeral_bytes_ += batch->bytes;
    ephemeral_.push_back({std::move(batch), version});
    while (ephemeral_bytes_ > bytes_max_ / 8 && ephemeral_.size() > 1) {
      ephemeral_bytes_ -= ephemeral_.front().batch->bytes;
      ephemeral_.pop_front();
    }
  }
  version_.store(version, std::memory_order_release);
}

void Tail::trim(Offset indexed) {
  std::deque<Slot> gone;  // freed outside the lock
  std::lock_guard lock(mutex_);
  while (bytes_ > bytes_max_ && !slots_.empty() && slots_.front().batch->last() <= indexed) {
    bytes_ -= slots_.front().batch->bytes;
    low_ = slots_.front().batch->last();
    gone.push_back(std::move(slots_.front()));
    slots_.pop_front();
  }
}

const Entry* Tail::find(Offset offset) const {
  const auto slot =
      std::lower_bound(slots_.begin(), slots_.end(), offset,
                       [](const Slot& s, Offset wanted) { return s.batch->last() < wanted; });
  if (slot == slots_.end()) return nullptr;
  const auto& entries = slot->batch->entries;
  const Offset first = entries.front().event().offset;
  return offset >= first ? &entries[offset - first] : nullptr;
}

void Tail::withdraw(std::span<const Offset> offsets) const {
  const std::lock_guard lock(mutex_);
  for (const Offset offset : offsets)
    if (const Entry* entry = find(offset)) entry->withdraw();
}

void Tail::lose(std::span<const Offset> offsets) {
  if (offsets.empty()) return;
  const std::lock_guard lock(mutex_);
  // The number first: whoever sees an entry that is lost knows of a count that holds it.
  const std::uint64_t loss = losses_.load(std::memory_order_relaxed) + 1;
  losses_.store(loss, std::memory_order_release);
  for (const Offset offset : offsets)
    if (const Entry* entry = find(offset)) entry->lose(loss);
}

bool Tail::wants_index(Offset indexed) const {
  std::lock_guard lock(mutex_);
  return bytes_ > bytes_max_ && !slots_.empty() && slots_.front().batch->last() > indexed;
}

Tail::News Tail::since(std::uint64_t version) const {
  News news;
  std::lock_guard lock(mutex_);
  news.low = low_;
  news.version = version_.load(std::memory_order_relaxed);
  if (news.version == version) return news;
  const auto newer = [version](const Slot& slot) { return slot.version > version; };
  auto durable = std::partition_point(slots_.begin(), slots_.end(), std::not_fn(newer));
  auto ephemeral = std::partition_point(ephemeral_.begin(), ephemeral_.end(), std::not_fn(newer));
  while (durable != slots_.end() || ephemeral != ephemeral_.end()) {
    const bool take_durable =
        ephemeral == ephemeral_.end() || (durable != slots_.end() && durable->version < ephemeral->version);
    news.batches.push_back(take_durable ? (durable++)->batch : (ephemeral++)->batch);
  }
  return news;
}

}  // namespace belfry
