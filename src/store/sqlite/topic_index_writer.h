#pragma once
// Builds the index of each topic's offsets behind the log, in batches (docs/decisions/0002). Private to
// sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; writes inside a transaction.
// Bound: limits::index_batch_rows and index_batch_bytes, and what one transaction takes out.
// Always: `indexed` moves only in the transaction that brings the rows up to it.

#include <unordered_set>
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
    gathered_.push_back({offset, topic});
    last_added_ = offset;
    bytes_ += bytes;
  }

  // A row that was there and was taken out of the log.
  void forget(std::int64_t topic, Offset offset);

  // The topics of rows that were added and are not in.
  std::unordered_set<std::int64_t> waiting() const {
    std::unordered_set<std::int64_t> out;
    for (const auto& [offset, topic] : gathered_) out.insert(topic);
    return out;
  }

  enum class Amount { batches, all };
  // At the end of each transaction: what was forgotten goes; what was gathered comes in, once it is a
  // batch. Gives the offset to which the index is then complete.
  Result<Offset> write(Amount amount);
  // Whether every row that was added is in.
  bool complete() const { return indexed_ >= last_added_; }

 private:
  using Row = std::pair<Offset, std::int64_t>;

  Statement insert_;
  Statement delete_;
  Statement set_indexed_;
  std::vector<Row> gathered_;   // in offset order, all above indexed_
  std::vector<Row> forgotten_;  // all up to indexed_
  std::size_t bytes_ = 0;       // of the events of gathered_
  Offset last_added_ = 0;
  Offset indexed_ = 0;
};

}  // namespace belfry::sqlite
