#pragma once
// The questions of feed answered by looking at everything: what SQLite's arithmetic is compared with.
// Private to store.

#include "store/memory_store.h"

namespace belfry {

class MemoryFeedRows final : public FeedRows {
 public:
  explicit MemoryFeedRows(const MemoryDisk& disk) : disk_(disk) {}

  Result<Offset> head() override { return disk_.head; }
  Result<UserRows> user(std::string_view user) override;
  Result<std::uint64_t> count(const FeedSpan& span, const Mutes& mutes) override;
  Result<std::vector<std::uint64_t>> tally(std::span<const FeedSpan> spans, const Mutes& mutes,
                                           std::span<const OffsetRange> ranges) override;
  Result<std::uint64_t> removals(std::span<const FeedSpan> spans) override;
  Result<std::vector<Event>> newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                    std::span<const OffsetRange> ranges, std::size_t items_max) override;
  Result<Offset> floor(std::string_view topic) override;
  Result<std::optional<Event>> event_at(Offset offset) override;
  Result<std::optional<Event>> item_at(Offset offset) override;
  std::uint64_t work() const override { return work_; }

 private:
  const MemoryDisk& disk_;
  std::uint64_t work_ = 0;  // events looked at
};

// Applies what a commit changes; `base` is the head before its events.
void apply_change(MemoryDisk& disk, const Change& change, Offset base, Committed& committed);
// Takes one event out; false if it is not there.
bool remove_event(MemoryDisk& disk, Offset offset);
// As Store::erase_some.
Erased take_some(MemoryDisk& disk, const EraseUser& erasure, std::size_t rows_max);
// As Store::forget_remains, all rows at once.
Result<std::size_t> forget_remains(MemoryDisk& disk, Timestamp now, std::size_t rows_max);
// A start in which no event was written leaves no epoch behind, and of all only the newest are kept.
void drop_epochs(std::vector<EpochRow>& epochs);
// The events that rules let go.
std::vector<Offset> swept(const MemoryDisk& disk, std::span<const RetentionRule> rules, const Now& now,
                          std::size_t rows_max);

}  // namespace belfry
