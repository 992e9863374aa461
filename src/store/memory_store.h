#pragma once
// A store without a disk: for tests, and for the simulator, which crashes it, restores old copies of it,
// and lets it fail. Same contract as SQLite's.

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "store/store.h"

namespace belfry {

// What a disk would hold. A copy is a backup. Thread: one.
struct MemoryDisk {
  struct TopicRow {
    Seq last_seq = 0;
    Offset floor = 0;
    std::uint64_t last_plain = 0;  // events that Belfry itself did not write
    std::optional<Timestamp> empty_since{};
  };
  struct UserRow {
    std::vector<Follow> follows;
    ReadState read;
    Mutes mutes;
    std::optional<KnownCounts> counted;
  };

  std::vector<EpochRow> epochs;
  std::map<Offset, Event> log;
  Offset head = 0;
  Offset indexed = 0;        // pages end here
  bool index_lags = false;   // commits leave it to Store::index_now, as those of SQLite do for a while
  bool index_full = false;   // there is no room for more of it
  std::map<std::string, TopicRow> topics;
  std::map<std::pair<std::string, std::string>, IdempotencyRecord> keys;
  std::map<Offset, std::uint64_t> plain;  // TopicRow::last_plain as of each event
  std::map<std::string, UserRow> users;
  // Ended ones that hold nothing, by user, topic and where they begin.
  std::map<std::tuple<std::string, std::string, Offset>, std::optional<Timestamp>> follows_empty_since;
  std::map<std::string, std::uint64_t> removals;  // notifications taken out so far, by topic
  std::map<std::uint64_t, Scheduled> scheduled;
  std::uint64_t last_scheduled = 0;
  std::map<std::pair<std::string, std::string>, Revocation> revocations;  // by user and token id
  std::map<std::string, UsedTicket> tickets;                              // by id
  TimeLine time_line;
  Offset forgotten = 0;  // there were topics with a floor up to here that are not known any more
  std::map<std::pair<std::string, std::string>, Position> positions;      // by source and part
  std::map<std::uint64_t, DeadLetter> dead_letters;
  std::uint64_t last_dead_letter = 0;

  // Switches that plant a known bug, for the simulator to catch. Always default outside tests/sim.
  struct Planted {
    bool forget_forgotten = false;  // topics go without a word
    bool keep_floors = false;       // what retention takes raises no floor
    bool dates_alone = false;       // steps of the clock are not looked at
    bool unbounded_page = false;    // a page takes all there is
  } planted{};

  // The next commit fails with this code, once. failed_after: the events are on the disk all the same, as
  // after a crash between the flush and its answer.
  enum class Trouble { none, full, failed_before, failed_after } trouble = Trouble::none;
};

// The disk outlives the store and its readers.
std::unique_ptr<Store> make_memory_store(MemoryDisk& disk);
// With a disk of its own.
std::unique_ptr<Store> make_memory_store();

}  // namespace belfry
