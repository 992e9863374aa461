#include "store/sqlite/topic_index_writer.h"

#include <algorithm>

namespace belfry::sqlite {

Result<void> TopicIndexWriter::prepare(Database& database) {
  insert_ = TRY(database.prepare("INSERT OR IGNORE INTO topic_index VALUES(?, ?)"));
  set_indexed_ = TRY(database.prepare("UPDATE meta SET value = ? WHERE name = 'indexed'"));
  return {};
}

void TopicIndexWriter::restart(Offset indexed) {
  indexed_ = indexed;
  gathered_.clear();
  batch_.clear();
  at_ = 0;
}

void TopicIndexWriter::close_batch() {
  if (at_ < batch_.size() || gathered_.empty()) return;
  batch_.swap(gathered_);
  gathered_.clear();
  at_ = 0;
  batch_last_ = batch_.back().second;
  std::sort(batch_.begin(), batch_.end());
}

Result<Offset> TopicIndexWriter::insert_slice(std::size_t rows_max) {
  if (gathered_.size() >= limits::index_batch_rows) close_batch();
  const std::size_t end = std::min(batch_.size(), at_ + rows_max);
  if (at_ == end) return indexed_;
  for (; at_ < end; ++at_)
    TRY(insert_.bind(1, batch_[at_].first).bind(2, to_signed(batch_[at_].second)).run());
  if (at_ < batch_.size()) return indexed_;
  TRY(set_indexed_.bind(1, to_signed(batch_last_)).run());
  indexed_ = batch_last_;
  return indexed_;
}

}  // namespace belfry::sqlite
