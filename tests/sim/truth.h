#pragma once
// What really happened, kept apart from the code under test: every event that was ever committed, and the
// place in history that each offset means now. The checkers ask here.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "log/log.h"
#include "store/memory_store.h"

namespace belfry::sim {

// An event as it was committed. `serial` tells two events apart that had the same offset in different
// histories.
struct Fact {
  Event event;
  std::uint64_t serial = 0;
  std::uint64_t gone = 0;  // it is not on the disk any more: at which look that was found, or 0
  Timestamp not_before{};  // it was published then, or later, as long as the clock has come so far
  Instant published{};     // by the clock that nobody sets
};

class Truth {
 public:
  // Looks at the disk after every step: what is new on it was committed.
  void observe(const MemoryDisk& disk);
  // The clock is about to date events. What it says dates the log also where none of them stays: they may
  // be ephemeral, or known already.
  void observe_dating(Instant now, Timestamp wall);
  // Another process begins with what is on the disk: what is gone dates nothing that follows.
  void restart(const MemoryDisk& disk);
  // The same for what retention, or the end of its time, took away.
  void observe_gone(const MemoryDisk& disk);
  // The disk was replaced by an older copy of itself.
  void rewind(const MemoryDisk& disk);

  Offset head() const { return history_.size(); }
  // The event at an offset of the present history, trimmed or not; null beyond its head.
  const Fact* at(Offset offset) const;
  std::uint64_t serial_at(Offset position) const;
  // The clock was that late once; what expires by then may be missing.
  void observe_time(Timestamp wall) { latest_ = std::max(latest_, wall); }
  Timestamp latest() const { return latest_; }
  // At which look it was found that the event is not on the disk any more; 0: it is there.
  std::uint64_t gone(Offset offset) const { return at(offset) == nullptr ? 0 : at(offset)->gone; }
  // The latest time that the present history is dated.
  Timestamp newest() const { return newest_; }
  // The earliest time that an event from the offset on is dated.
  Timestamp earliest_since(Offset offset) const;
  // How many events of its topic came after it, of its kind: the server's own, or others. The more of both.
  std::uint64_t newer(const Event& event) const;
  std::uint64_t looks() const { return looks_; }
  // Topics are not known any more whose events went up to here.
  Offset forgotten() const { return forgotten_; }
  // Whether a later refresh event of the same topic and keys makes this one needless.
  bool superseded(const Event& event) const;

 private:
  std::vector<Fact> history_;  // index: offset - 1
  std::uint64_t next_serial_ = 1;
  std::uint64_t looks_ = 0;
  Offset forgotten_ = 0;
  Timestamp known_{};  // the latest time of the log, to the process that runs
  Timestamp newest_{};
  Instant dated_{};  // when events were dated last
  Timestamp latest_{};
};

// What was said to publishers.
class Acknowledgements {
 public:
  void stored(const std::string& value) { unseen_.insert(value); }
  // The same key must always name the same events, also those that were trimmed meanwhile. Empty, or what is
  // wrong.
  std::string repeated(const std::string& key, const Published& published);
  // A restored backup may have lost what was acknowledged after it was made.
  void rewind(const Truth& truth);
  // A key counts for a day, and then until it is forgotten, some time.
  void let_keys_end() { keys_.clear(); }
  // acked_is_durable: every acknowledged value is in the present history, out of which only rewind() takes
  // anything. Empty, or the first that is not.
  std::string missing(const Truth& truth);

 private:
  void look(const Truth& truth, Offset after);

  std::set<std::string> unseen_;  // in the history, so far
  Offset seen_upto_ = 0;
  std::map<std::string, std::vector<Cursor>> keys_;
};

}  // namespace belfry::sim
