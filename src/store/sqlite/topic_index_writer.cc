#include "store/sqlite/topic_index_writer.h"

#include <algorithm>

namespace belfry::sqlite {

Result<void> TopicIndexWriter::prepare(Database& database) {
  TRY(database.prepare(insert_, "INSERT INTO topic_offsets(rowid, topic) VALUES(?, ?)"));
  TRY(database.prepare(delete_,
                       "INSERT INTO topic_offsets(topic_offsets, rowid, topic) VALUES('delete', ?, ?)"));
  return database.prepare(set_indexed_, "UPDATE meta SET value = ? WHERE name = 'indexed'");
}

void TopicIndexWriter::restart(Offset indexed) {
  indexed_ = last_added_ = indexed;
  gathered_.clear();
  forgotten_.clear();
  bytes_ = 0;
}

void TopicIndexWriter::forget(std::int64_t topic, Offset offset) {
  const Row row{offset, topic};
  if (offset <= indexed_) {
    forgotten_.push_back(row);
    return;
  }
  const auto gathered = std::lower_bound(gathered_.begin(), gathered_.end(), row);
  if (gathered != gathered_.end() && *gathered == row) gathered_.erase(gathered);
}

// By rising offset, all of it: FTS5 writes a segment whenever a row lies before the one it was given last.
Result<Offset> TopicIndexWriter::write(Amount amount) {
  std::sort(forgotten_.begin(), forgotten_.end());
  for (const auto& [offset, topic] : forgotten_)
    TRY(delete_.bind(1, to_signed(offset)).bind(2, topic).run());
  forgotten_.clear();
  const bool batch = gathered_.size() >= limits::index_batch_rows || bytes_ >= limits::index_batch_bytes;
  if (complete() || !(batch || amount == Amount::all)) return indexed_;
  for (const auto& [offset, topic] : gathered_)
    TRY(insert_.bind(1, to_signed(offset)).bind(2, topic).run());
  TRY(set_indexed_.bind(1, to_signed(last_added_)).run());
  gathered_.clear();
  bytes_ = 0;
  return indexed_ = last_added_;
}

}  // namespace belfry::sqlite
