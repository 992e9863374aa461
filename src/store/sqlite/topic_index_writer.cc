#include "store/sqlite/topic_index_writer.h"

#include <algorithm>

namespace belfry::sqlite {

Result<void> TopicIndexWriter::prepare(Database& database) {
  insert_ = TRY(database.prepare("INSERT OR IGNORE INTO topic_index VALUES(?, ?)"));
  set_indexed_ = TRY(database.prepare("UPDATE meta SET value = ? WHERE name = 'indexed'"));
  return {};
}

void TopicIndexWriter::restart(Offset indexed) {
  indexed_ = last_added_ = batch_last_ = indexed;
  gathered_.clear();
  batch_.clear();
  at_ = added_ = bytes_ = 0;
}

void TopicIndexWriter::forget(std::int64_t topic, Offset offset) {
  const Row row{topic, offset};
  const auto by_offset = [](const Row& a, const Row& b) { return a.second < b.second; };
  const auto gathered = std::lower_bound(gathered_.begin(), gathered_.end(), row, by_offset);
  if (gathered != gathered_.end() && *gathered == row) {
    gathered_.erase(gathered);
    return;
  }
  const auto waiting = batch_.begin() + static_cast<std::ptrdiff_t>(at_);
  const auto found = std::lower_bound(waiting, batch_.end(), row);
  if (found != batch_.end() && *found == row) batch_.erase(found);
}

void TopicIndexWriter::close_batch() {
  if (batch_last_ > indexed_ || last_added_ == batch_last_) return;
  batch_.swap(gathered_);
  gathered_.clear();
  at_ = added_ = bytes_ = 0;
  batch_last_ = last_added_;
  std::sort(batch_.begin(), batch_.end());
}

Result<Offset> TopicIndexWriter::insert_slice(std::size_t rows_max) {
  if (added_ >= limits::index_batch_rows || bytes_ >= limits::index_batch_bytes) close_batch();
  if (batch_last_ <= indexed_) return indexed_;
  const std::size_t end = std::min(batch_.size(), at_ + rows_max);
  for (; at_ < end; ++at_)
    TRY(insert_.bind(1, batch_[at_].first).bind(2, to_signed(batch_[at_].second)).run());
  if (at_ < batch_.size()) return indexed_;
  TRY(set_indexed_.bind(1, to_signed(batch_last_)).run());
  indexed_ = batch_last_;
  return indexed_;
}

}  // namespace belfry::sqlite
