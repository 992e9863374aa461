#pragma once
// The tail: the newest part of the log in memory, shared by every shard.
//
// Route:  log (appends what was committed) -> here -> hub/shard (copies pointers to new batches once a
// turn). Thread: append and trim by the log-writer; everything else from any thread. Batches are immutable,
// so a shard reads
//         them without a lock; a slow shard cannot stall the writer and is overrun instead (it reads the
//         store).
// Bound:  bytes given at construction, but never less than what the store has not indexed yet.
// Always: durable entries of consecutive batches have consecutive offsets; what is here is committed.

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/base.h"
#include "model/model.h"

namespace belfry {

// The ways an event can be written; each is encoded at most once per process.
enum class Format : std::uint8_t { sse, sse_message, websocket, json_line, cloud_sse, cloud_line };
inline constexpr std::size_t format_count = 6;

// An event of the tail or of a page, with its bytes for each transport, made on first use.
class Entry {
 public:
  explicit Entry(Event event) : event_(std::move(event)) {}
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  const Event& event() const { return event_; }
  // It was taken out of the log: no longer given to anybody, and nobody misses it. Any thread.
  bool withdrawn() const { return gone_.load(std::memory_order_relaxed) == withdrawn_mark; }
  void withdraw() const { gone_.store(withdrawn_mark, std::memory_order_relaxed); }
  // Retention took it: whoever has not had it has lost it. The number of that loss (Tail::losses), or 0.
  // Any thread.
  std::uint64_t lost() const {
    const std::uint64_t mark = gone_.load(std::memory_order_acquire);
    return mark == withdrawn_mark ? 0 : mark;
  }
  void lose(std::uint64_t loss) const { gone_.store(loss, std::memory_order_release); }
  // Any thread. If two threads encode at once, one result is kept.
  template <class Encode>
  const std::string& frame(Format format, Encode&& encode) const {
    auto& slot = frames_[static_cast<std::size_t>(format)];
    if (const std::string* made = slot.load(std::memory_order_acquire)) return *made;
    return keep(slot, encode(event_));
  }

 private:
  using Slot = std::atomic<const std::string*>;
  static const std::string& keep(Slot& slot, std::string bytes);

  Event event_;
  static constexpr std::uint64_t withdrawn_mark = ~std::uint64_t{0};
  mutable std::atomic<std::uint64_t> gone_{0};
  mutable std::array<Slot, format_count> frames_{};
};

// What was committed together. Either all entries are durable, or all are ephemeral.
struct Batch {
  std::deque<Entry> entries;
  std::size_t bytes = 0;

  explicit Batch(std::vector<Event> events);
  Offset last() const { return entries.back().event().offset; }
};
using BatchPtr = std::shared_ptr<const Batch>;

class Tail {
 public:
  // `start` is the log's head when the tail is made: it begins empty, after `start`.
  Tail(Offset start, std::size_t bytes_max) : bytes_max_(bytes_max), low_(start), head_(start) {}

  // Everything up to here is committed. Any thread.
  Offset head() const { return head_.load(std::memory_order_acquire); }
  // Counts every append, ephemeral ones too: a shard has something to do when it changed.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Log-writer. REQUIRES: durable batches continue at head() + 1.
  void append(BatchPtr batch);
  // A hint of the log-writer to the shards: more is being committed right now, and it will not take long.
  // Any thread.
  void expect_more(bool more) { more_expected_.store(more, std::memory_order_release); }
  bool more_expected() const { return more_expected_.load(std::memory_order_acquire); }

  // Log-writer. Marks those of these events that are still here as gone.
  void withdraw(std::span<const Offset> offsets) const;

  // Before the first shard. Events at or below may be missing here, because retention took them before the
  // start: who stands below asks the store, which knows the floors.
  void set_holes(Offset upto) { holes_ = upto; }
  Offset holes() const { return holes_; }
  // Log-writer. Retention took these events: those that are still here are lost for whoever has not had
  // them.
  void lose(std::span<const Offset> offsets);
  // How often retention took something since the start. Whoever knows of loss n is not told of it again. Any
  // thread.
  std::uint64_t losses() const { return losses_.load(std::memory_order_acquire); }

  // Log-writer. Lets the oldest batches go while over the bound, but nothing above `indexed`.
  void trim(Offset indexed);
  // Whether the bound cannot be kept without indexing first.
  bool wants_index(Offset indexed) const;

  // What a shard that has seen `version` and stands at `head` is missing, oldest first. `low`: the tail now
  // holds (low, head]; if low > the shard's head, it was overrun and must let its sessions read the store.
  struct News {
    std::vector<BatchPtr> batches;
    Offset low = 0;
    std::uint64_t version = 0;
  };
  News since(std::uint64_t version) const;

 private:
  struct Slot {
    BatchPtr batch;
    std::uint64_t version;
  };

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::deque<Slot> slots_;  // durable
  std::deque<Slot>
      ephemeral_;  // only until every shard that keeps up has seen them: at most an eighth of the bound
  std::size_t bytes_ = 0;
  std::size_t ephemeral_bytes_ = 0;
  Offset low_;
  std::atomic<Offset> head_;
  std::atomic<std::uint64_t> version_{0};
  // REQUIRES: the lock is held. The entry at the offset, if it is still here.
  const Entry* find(Offset offset) const;

  std::atomic<bool> more_expected_{false};
  std::atomic<std::uint64_t> losses_{0};
  Offset holes_ = 0;
};

}  // namespace belfry
