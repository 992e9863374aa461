#pragma once
// What the connections of a process may hold together: how many they are, the bytes of requests that are
// not answered yet, and the bytes of answers that clients have not taken yet.
//
// Owner:  server. The listening servers of all loops share one, because the kernel does not spread
//         connections evenly over them. Thread: any.
// Bound:  either sum of bytes stays below twice its bound, and a small request of each connection beside it.
//         Over the bound only who holds less than an even share may hold more, and each server ends those
//         of its connections that hold more than that, the largest first, at its next look around. So a
//         stranger with a small request never waits for others, one with a large one until then.
// Always: what was taken is given back by whoever took it.

#include <algorithm>
#include <array>
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
  // What a connection may hold whatever others do: a GET with its token.
  static constexpr std::size_t small = 4096;
  // What is counted together, of all connections.
  enum class Bytes : std::uint8_t { requests, answers };
  // One holder has `now` bytes instead of `before`. False, and nothing has changed: it may not have more.
  bool change(Bytes of, std::size_t before, std::size_t now) {
    Sum& sum = sums_[static_cast<std::size_t>(of)];
    const bool is_new = before == 0 && now > 0;
    const std::size_t holders = sum.holders.fetch_add(is_new, std::memory_order_relaxed) + is_new;
    const std::size_t bytes = sum.bytes.fetch_add(now - before, std::memory_order_relaxed) + now - before;
    const std::size_t max = bytes_max_.load(std::memory_order_relaxed);
    if (now <= before || now <= small || bytes <= max || (bytes / 2 < max && now <= max / holders)) {
      if (before > 0 && now == 0) sum.holders.fetch_sub(1, std::memory_order_relaxed);
      return true;
    }
    sum.bytes.fetch_sub(now - before, std::memory_order_relaxed);
    sum.holders.fetch_sub(is_new, std::memory_order_relaxed);
    return false;
  }
  // The sum is over its bound, and so many bytes of one holder are more than an even share.
  bool is_too_much(Bytes of, std::size_t held) const {
    const Sum& sum = sums_[static_cast<std::size_t>(of)];
    const std::size_t max = bytes_max_.load(std::memory_order_relaxed);
    if (sum.bytes.load(std::memory_order_relaxed) <= max) return false;
    const std::size_t holders = sum.holders.load(std::memory_order_relaxed);
    return held > std::max(small, max / std::max<std::size_t>(1, holders));
  }
  bool is_over() const {
    const std::size_t max = bytes_max_.load(std::memory_order_relaxed);
    return std::any_of(sums_.begin(), sums_.end(),
                       [max](const Sum& sum) { return sum.bytes.load(std::memory_order_relaxed) > max; });
  }
  std::size_t bytes(Bytes of) const {
    return sums_[static_cast<std::size_t>(of)].bytes.load(std::memory_order_relaxed);
  }
  std::size_t unread() const { return bytes(Bytes::answers); }
  // Of requests, and of answers once more.
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
  struct Sum {
    std::atomic<std::size_t> bytes{0};
    std::atomic<std::size_t> holders{0};
  };
  std::array<Sum, 2> sums_;
  std::atomic<std::size_t> bytes_max_{~std::size_t{0}};
};

// What one connection holds of either; given back with it. Without a budget there is no bound.
class BytesLease {
 public:
  BytesLease(ConnectionBudget* budget, ConnectionBudget::Bytes of) : budget_(budget), of_(of) {}
  ~BytesLease() { (void)set(0); }
  BytesLease(const BytesLease&) = delete;
  BytesLease& operator=(const BytesLease&) = delete;
  // False, and nothing has changed: it may not hold so much.
  bool set(std::size_t bytes) {
    if (bytes == held_) return true;
    if (budget_ != nullptr && !budget_->change(of_, held_, bytes)) return false;
    held_ = bytes;
    return true;
  }
  bool grow(std::size_t count) { return set(held_ + count); }
  // Gives back what is beyond so much.
  void shrink_to(std::size_t count) {
    if (count < held_) (void)set(count);
  }
  std::size_t held() const { return held_; }
  // What it holds if that is too much now, or 0.
  std::size_t too_much() const {
    return budget_ != nullptr && budget_->is_too_much(of_, held_) ? held_ : 0;
  }

 private:
  ConnectionBudget* budget_;
  ConnectionBudget::Bytes of_;
  std::size_t held_ = 0;
};

// What one of several requests, or tunnels, of a connection holds; given back with it. The lease outlives
// it.
class LeasePart {
 public:
  explicit LeasePart(BytesLease& lease) : lease_(lease) {}
  ~LeasePart() { shrink_to(0); }
  LeasePart(const LeasePart&) = delete;
  LeasePart& operator=(const LeasePart&) = delete;
  bool grow(std::size_t count) {
    if (!lease_.grow(count)) return false;
    held_ += count;
    return true;
  }
  bool set(std::size_t count) {
    if (count > held_) return grow(count - held_);
    shrink_to(count);
    return true;
  }
  void shrink_to(std::size_t count) {
    if (count >= held_) return;
    lease_.shrink_to(lease_.held() - (held_ - count));
    held_ = count;
  }

 private:
  BytesLease& lease_;
  std::size_t held_ = 0;
};

}  // namespace belfry::net
