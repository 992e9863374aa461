#pragma once
// A bounded queue between threads: many writers, one reader. The only way two threads of the house speak,
// beside the log's tail.
//
// Thread: push and close from any; take from one. Bound: given at construction; a push into a full mailbox
// is refused and the caller decides what that means.

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace belfry {

template <class Message>
class Mailbox {
 public:
  explicit Mailbox(std::size_t bound) : bound_(bound) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // False if full or closed; the message is then untouched.
  [[nodiscard]] bool push(Message&& message) {
    {
      std::lock_guard lock(mutex_);
      if (closed_ || messages_.size() >= bound_) return false;
      messages_.push_back(std::move(message));
      if (messages_.size() > 1) return true;  // the reader was told of the first and has not taken it yet
    }
    ready_.notify_one();
    return true;
  }

  // Moves everything that waits to the end of `out` without blocking.
  void take(std::vector<Message>& out) {
    std::lock_guard lock(mutex_);
    append(out);
  }

  // Blocks until something waits or the mailbox is closed; false once it is closed and empty.
  [[nodiscard]] bool wait_take(std::vector<Message>& out) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !messages_.empty(); });
    append(out);
    return !out.empty() || !closed_;
  }

  // As wait_take, but gives up after `timeout` with nothing taken.
  template <class Timeout>
  [[nodiscard]] bool wait_take(std::vector<Message>& out, Timeout timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return closed_ || !messages_.empty(); });
    append(out);
    return !out.empty() || !closed_;
  }

  // Refuses every later push and lets the reader finish what waits.
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return messages_.size();
  }

 private:
  void append(std::vector<Message>& out) {
    if (out.empty()) {
      out.swap(messages_);
      return;
    }
    for (auto& message : messages_) out.push_back(std::move(message));
    messages_.clear();
  }

  const std::size_t bound_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<Message> messages_;
  bool closed_ = false;
};

}  // namespace belfry
