#pragma once
// A FairQueue between threads: many writers, any number of readers. What clients ask of the log-writer and
// of the store-readers waits here.
//
// Thread: any. Bound: as FairQueue's; a push that finds no room for its owner is refused, and the caller
// decides what that means.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "base/fair_queue.h"

namespace belfry {

template <class Message>
class FairMailbox {
 public:
  using Popped = typename FairQueue<Message>::Popped;

  explicit FairMailbox(std::size_t items_max, std::size_t bytes_max = ~std::size_t{0})
      : queue_(items_max, bytes_max) {}
  FairMailbox(const FairMailbox&) = delete;
  FairMailbox& operator=(const FairMailbox&) = delete;

  // False if the owner's lane is full, or it is closed; the message is then untouched.
  [[nodiscard]] bool push(Turn turn, std::uint64_t cost, std::size_t bytes, Message&& message) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || !queue_.push(turn, cost, bytes, std::move(message))) return false;
      if (waiting_ == 0) return true;
    }
    ready_.notify_one();
    return true;
  }

  // The next in turn, without blocking.
  std::optional<Popped> pop() {
    const std::lock_guard lock(mutex_);
    return queue_.pop();
  }

  // As FairQueue::pop_if.
  template <class Suits>
  std::optional<Popped> pop_if(Suits suits) {
    const std::lock_guard lock(mutex_);
    return queue_.pop_if(suits);
  }

  // Blocks until something waits, `timeout` is over, or it is closed. False once it is closed and empty.
  template <class Timeout>
  [[nodiscard]] bool wait(Timeout timeout) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    ready_.wait_for(lock, timeout, [this] { return closed_ || !queue_.empty(); });
    --waiting_;
    return !closed_ || !queue_.empty();
  }

  // As wait and pop, without a time; nothing once it is closed and empty.
  std::optional<Popped> wait_pop() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    ready_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    --waiting_;
    return queue_.pop();
  }

  // As FairQueue::give_back, also once it is closed.
  void give_back(Popped&& popped, std::uint64_t cost) {
    const std::lock_guard lock(mutex_);
    queue_.give_back(std::move(popped), cost);
  }

  // As FairQueue::charge. Before the answer, which may bring the owner's next message.
  void charge(const Popped& popped, std::uint64_t cost) {
    const std::lock_guard lock(mutex_);
    queue_.charge(popped, cost);
  }

  // Refuses every later push and lets the readers finish what waits.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  FairQueue<Message> queue_;
  std::size_t waiting_ = 0;  // readers
  bool closed_ = false;
};

}  // namespace belfry
