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
};

class Truth {
 public:
  // Looks at the disk after every step: what is new on it was committed.
  void observe(const MemoryDisk& disk);
  // The disk was replaced by an older copy of itself.
  void rewind(const MemoryDisk& disk);

  Offset head() const { return history_.size(); }
  // The event at an offset of the present history, trimmed or not; null beyond its head.
  const Fact* at(Offset offset) const;
  std::uint64_t serial_at(Offset position) const;
  // Whether retention removed the event from the disk.
  bool trimmed(Offset offset) const { return offset <= trimmed_upto_; }
  Offset trimmed_upto() const { return trimmed_upto_; }
  // Whether a later refresh event of the same topic and keys makes this one needless.
  bool superseded(const Event& event) const;

 private:
  std::vector<Fact> history_;  // index: offset - 1
  std::uint64_t next_serial_ = 1;
  Offset trimmed_upto_ = 0;
};

// What was said to publishers.
class Acknowledgements {
 public:
  void stored(const std::string& value) { values_.insert(value); }
  // The same key must always name the same events; a repeat may leave out what was trimmed meanwhile, and
  // ephemeral ones. Empty, or what is wrong.
  std::string repeated(const std::string& key, const Published& published, const Truth& truth);
  // A restored backup may have lost what was acknowledged after it was made.
  void rewind(const Truth& truth);
  // acked_is_durable: every acknowledged value is in the present history. Empty, or the first that is not.
  std::string missing(const Truth& truth) const;

 private:
  std::set<std::string> values_;
  std::map<std::string, std::vector<Cursor>> keys_;
};

}  // namespace belfry::sim
