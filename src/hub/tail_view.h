#pragma once
// One shard's view of the tail: the entries by offset, and by topic, so that a session on a rare topic
// finds its events without looking at others.
//
// Owner: Shard. Thread: the shard's. Bound: what the tail holds; it lets go what the tail let go.

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "hub/topic_index.h"
#include "log/log.h"

namespace belfry {

class TailView {
 public:
  struct Topic {
    std::string name;
    std::vector<Offset> offsets;  // of its entries in the view, ascending, from `first` on
    std::size_t first = 0;
    TopicIndex::Patterns patterns;  // that match it, as of index version `patterns_version`
    std::uint64_t patterns_version = 0;
  };

  // The view holds the entries in (low, head].
  Offset low() const { return low_; }
  Offset head() const { return low_ + items_.size(); }

  // Forgets everything and starts after `low`.
  void restart(Offset low);
  // Keeps the batch alive; its entries follow by add().
  void hold(BatchPtr batch) { batches_.push_back(std::move(batch)); }
  // REQUIRES: the entry's offset is head() + 1. Gives its topic, with the patterns that match it.
  Topic& add(const Entry& entry, const TopicIndex& index);
  void trim(Offset low);

  // REQUIRES: low() < offset <= head().
  const Entry& at(Offset offset) const { return *items_[offset - low_ - 1].entry; }
  // Null if the view holds nothing of the topic.
  const Topic* topic(std::string_view name) const;
  std::size_t topics() const { return topics_.size(); }

  // Bounds of a slice.
  struct Most {
    std::size_t entries = limits::write_events_max;
    std::size_t work = limits::slice_work_max;
  };
  // What follows `after` for these selectors, at most `most.entries` entries and limits::page_bytes_max
  // bytes of events; the first is always there. Ends before an event that is lost and that the session does
  // not know of.
  struct Slice {
    std::vector<const Entry*> entries;  // in offset order
    Offset upto = 0;                    // everything asked for in (after, upto] is in `entries`
    bool lost = false;                  // what follows next was taken by retention: entries is empty
    std::size_t work = 0;               // what was looked at: rows, topics, and names compared with patterns

   private:
    friend class TailView;
    // Where a membership's next row is, among the rows of its topic.
    struct Walk {
      const Offset* next;
      const Offset* end;
      const Selector* selector;
    };
    std::vector<Walk> walks;  // of one call; here so that its memory is used again
    std::size_t bytes = 0;
    Most most;
  };
  // REQUIRES: after >= low(). Ends after the row by which `work` reaches `most.work`, the look-up of each
  // topic apart: `upto` may be below head() with few found. It goes forward by one row at least,
  // unless that one is lost.
  void slice(const Session& session, Offset after, Most most, Slice& out) const;

 private:
  struct Item {
    const Entry* entry;
    Topic* topic;
  };

  static bool take(const Entry& entry, std::uint64_t loss, Slice& out);
  void slice_by_topic(const Session& session, Offset after, Slice& out) const;
  void slice_by_scan(const Session& session, Offset after, Slice& out) const;

  std::deque<Item> items_;
  std::deque<BatchPtr> batches_;
  std::unordered_map<std::string, std::unique_ptr<Topic>, KeyedHash, std::equal_to<>> topics_;
  Offset low_ = 0;
};

}  // namespace belfry
