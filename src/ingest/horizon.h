#pragma once
// How far a table that only grows may be taken as read. Ids are given before their rows are committed, so
// the order of ids is not that of commits: a position in ids alone passes over late rows. The order of
// transaction ids is safe: what lies below a snapshot's oldest running transaction does not change any
// more.
//
//   row_horizon    rows of transactions below it are taken, in the order of (transaction, id)
//   id floor       rows at or below it cannot come any more: only there so that each look reads little
//
// The floor follows in steps: the highest id seen at one look becomes the floor once every transaction that
// lived then has ended and all of its rows were taken. (A transaction may have drawn its id before it has
// a transaction id; hence virtual ids, as CREATE INDEX CONCURRENTLY waits for them.)
//
// A value, no I/O; tested against a made-up database. Owner: a driver.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace belfry::ingest {

// A look at the database. `living` is asked before the snapshot is taken.
struct TableLook {
  std::vector<std::string> living;  // virtual ids of transactions
  std::uint64_t oldest = 0;         // pg_snapshot_xmin: everything below has ended
  std::uint64_t next = 0;           // pg_snapshot_xmax: nothing at or above had begun
  std::int64_t highest = 0;         // id in the snapshot
  bool all_taken = false;           // every row below `oldest` has been taken
};

class TableHorizon {
 public:
  // `slack`: so far below the highest id rows may still come from ids that were handed out in advance.
  TableHorizon(std::int64_t floor, std::int64_t slack) : floor_(floor), slack_(slack) {}

  std::int64_t floor() const { return floor_; }
  // After a look whose rows were committed.
  void looked(TableLook look);

 private:
  struct Step {
    std::int64_t id = 0;
    std::vector<std::string> living;       // asked after the snapshot that showed the id
    bool asked = false;                    // `living` is known
    std::optional<std::uint64_t> after{};  // the snapshot's `next` when all of them had ended
  };

  std::int64_t floor_;
  const std::int64_t slack_;
  std::optional<Step> step_;
};

}  // namespace belfry::ingest
