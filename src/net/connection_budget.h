#pragma once
// What the connections of a process may hold together: how many they are, the bytes of requests that are
// not answered yet, and the bytes of answers that clients have not taken yet.
//
// Owner:  server. The listening servers of all loops share one, because the kernel does not spread
//         connections evenly over them. Thread: any.
// Always: what was taken is given back by whoever took it.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "base/base.h"

namespace belfry::net {

class ConnectionBudget {
 public:
  ConnectionBudget(std::size_t max, std::uint64_t per_address) : max_(max), per_address_(per_address) {}
  // The slot under which the address is counted, 0 if it is empty; nothing if there is no room for it.
  std::optional<std::uint32_t> take(std::string_view address) {
    const std::lock_guard lock(mutex_);
    if (count_.load(std::memory_order_relaxed) >= max_) return std::nullopt;
    const auto slot = addresses_.take(address, per_address_);
    if (slot) count_.fetch_add(1, std::memory_order_relaxed);
    return slot;
  }
  void give_back(std::uint32_t slot) {
    const std::lock_guard lock(mutex_);
    addresses_.give_back(slot);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  // Bytes of requests that are not answered yet, of all connections together.
  bool take_bytes(std::size_t count) {
    if (bytes_.fetch_add(count, std::memory_order_relaxed) + count <=
        bytes_max_.load(std::memory_order_relaxed))
      return true;
    give_back_bytes(count);
    return false;
  }
  void give_back_bytes(std::size_t count) { bytes_.fetch_sub(count, std::memory_order_relaxed); }
  // A connection holds `now` bytes that its client has not taken, `before` when it last said so. False, and
  // nothing has changed, if all of them together are over their bound and this one holds more than an even
  // share of it: a stranger who holds little is never the one who has to go. So the sum stays below twice
  // the bound.
  bool change_unread(std::size_t before, std::size_t now) {
    const std::size_t sum = unread_.fetch_add(now - before, std::memory_order_relaxed) + now - before;
    const std::size_t max = bytes_max_.load(std::memory_order_relaxed);
    if (now <= before || sum <= max) return true;
    const std::size_t connections = std::max<std::size_t>(1, count_.load(std::memory_order_relaxed));
    if (now <= max / connections) return true;
    unread_.fetch_sub(now - before, std::memory_order_relaxed);
    return false;
  }
  std::size_t unread() const { return unread_.load(std::memory_order_relaxed); }
  // For requests, and for answers once more.
  void set_bytes_max(std::size_t max) { bytes_max_.store(max, std::memory_order_relaxed); }
  void set_per_address(std::uint64_t max) {
    const std::lock_guard lock(mutex_);
    per_address_ = max;
  }

 private:
  std::mutex mutex_;  // taken once a connection
  const std::size_t max_;
  std::uint64_t per_address_;
  std::atomic<std::size_t> count_{0};
  CountTable addresses_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> unread_{0};
  std::atomic<std::size_t> bytes_max_{~std::size_t{0}};
};

// Bytes of the budget that one request holds; given back with it. Without a budget there is no bound.
class BytesLease {
 public:
  explicit BytesLease(ConnectionBudget* budget) : budget_(budget) {}
  ~BytesLease() { shrink_to(0); }
  BytesLease(const BytesLease&) = delete;
  BytesLease& operator=(const BytesLease&) = delete;
  bool grow(std::size_t count) {
    if (budget_ != nullptr && !budget_->take_bytes(count)) return false;
    held_ += count;
    return true;
  }
  // Gives back what is beyond so much.
  void shrink_to(std::size_t count) {
    if (count >= held_) return;
    if (budget_ != nullptr) budget_->give_back_bytes(held_ - count);
    held_ = count;
  }

 private:
  ConnectionBudget* budget_;
  std::size_t held_ = 0;
};

// What one connection holds of answers that its client has not taken; given back with it.
class UnreadLease {
 public:
  explicit UnreadLease(ConnectionBudget* budget) : budget_(budget) {}
  ~UnreadLease() { (void)set(0); }
  UnreadLease(const UnreadLease&) = delete;
  UnreadLease& operator=(const UnreadLease&) = delete;
  // False: it may not hold so much, and the connection has to end.
  bool set(std::size_t bytes) {
    if (bytes == held_) return true;
    if (budget_ != nullptr && !budget_->change_unread(held_, bytes)) return false;
    held_ = bytes;
    return true;
  }

 private:
  ConnectionBudget* budget_;
  std::size_t held_ = 0;
};

}  // namespace belfry::net
