#pragma once
// Builds the (topic, offset) index behind the log, in sorted batches and small slices, so that the random
// writes are few and off the publish path (docs/decisions/0002). Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer. Bound: two batches of limits::index_batch_rows and
// index_batch_bytes.
// Always: `indexed` moves only when a whole batch is in, in the same transaction; a batch that a crash cut
// in half is
//         inserted again, which changes nothing.

#include <utility>
#include <vector>

#include "store/sqlite/schema.h"

namespace belfry::sqlite {

class TopicIndexWriter {
 public:
  Result<void> prepare(Database& database);
  void restart(Offset indexed);

  // A row that is being committed, and the bytes of its event in memory. Rows come in offset order.
  void add(std::int64_t topic, Offset offset, std::size_t bytes = 0) {
    gathered_.emplace_back(topic, offset);
    last_added_ = offset;
    ++added_;
    bytes_ += bytes;
  }

  // A row that was taken out before it was indexed, or after.
  void forget(std::int64_t topic, Offset offset);

  // Inside a transaction: at most `rows_max` index rows. Gives the offset to which the index is then
  // complete.
  Result<Offset> insert_slice(std::size_t rows_max);
  // Whether every row that was added is in.
  bool complete() const { return indexed_ >= last_added_; }
  // Closes the batch that is being gathered, whatever its size.
  void close_batch();

 private:
  using Row = std::pair<std::int64_t, Offset>;

  Statement insert_;
  Statement set_indexed_;
  std::vector<Row> gathered_;  // in offset order
  std::vector<Row> batch_;     // in topic order; rows before at_ are in
  std::size_t at_ = 0;
  std::size_t added_ = 0;  // rows of gathered_, forgotten ones too
  std::size_t bytes_ = 0;  // of their events
  Offset last_added_ = 0;
  Offset batch_last_ = 0;
  Offset indexed_ = 0;
};

}  // namespace belfry::sqlite
