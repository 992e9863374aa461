#pragma once
// The questions of feed, asked of one connection (store/store.h). Private to sqlite/.
//
// Thread: its connection's.
// Always: counting asks for a fixed number of rows a lane, however many notifications lie between.

#include <vector>

#include "store/sqlite/schema.h"
#include "store/store.h"

namespace belfry::sqlite {

class SqliteFeedRows final : public FeedRows {
 public:
  explicit SqliteFeedRows(const EpochTable& epochs) : epochs_(epochs) {}
  Result<void> prepare(Database& database);

  Result<Offset> head() override;
  Result<UserRows> user(std::string_view user) override;
  Result<std::uint64_t> count(const FeedSpan& span, const Mutes& mutes) override;
  Result<std::vector<std::uint64_t>> tally(std::span<const FeedSpan> spans, const Mutes& mutes,
                                           std::span<const OffsetRange> ranges) override;
  Result<std::uint64_t> removals(std::span<const FeedSpan> spans) override;
  Result<std::vector<Event>> newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                    std::span<const OffsetRange> ranges, std::size_t items_max) override;
  Result<std::optional<Event>> event_at(Offset offset) override;
  Result<std::optional<Event>> item_at(Offset offset) override;
  Result<Offset> floor(std::string_view topic) override;
  std::uint64_t work() const override { return database_->work(); }


 private:
  struct Lane {
    std::int64_t id;
    bool has_dead;
  };
  static constexpr std::size_t kFetched = 4;  // at once, twice as many each time
  // One lane of one span, being read from its newest end.
  struct Cursor {
    std::int64_t lane;
    Offset after, before;
    std::vector<Offset> fetched;  // newest last
    std::size_t fetch = kFetched;
  };

  Result<std::vector<Lane>> lanes(std::string_view topic, const Mutes& mutes);
  // The number of the lane's last notification at or below the offset.
  Result<std::int64_t> rank(std::int64_t lane, Offset offset);
  Result<std::int64_t> dead_between(std::int64_t lane, std::int64_t after, std::int64_t upto);
  Result<std::int64_t> count_between(const Lane& lane, Offset after, Offset upto);
  Result<void> tally_lane(const Lane& lane, OffsetRange within, std::span<const OffsetRange> ranges,
                          std::vector<std::uint64_t>& out);
  // Counts what follows `after` in the ranges from `at` on, one by one, as long as they lie close together.
  // False: what is left lies behind `after`, further on.
  Result<bool> walk(const Lane& lane, Offset& after, Offset upto, std::span<const OffsetRange> ranges,
                    std::size_t at, std::vector<std::uint64_t>& out);
  Result<void> fetch(Cursor& cursor);
  // Fetches until the cursor stands at a notification in one of the ranges, or has none left.
  Result<void> settle(Cursor& cursor, std::span<const OffsetRange> ranges);

  const EpochTable& epochs_;
  Database* database_ = nullptr;
  Statement select_head_, select_user_, select_follows_, select_lanes_, select_removed_, select_rank_,
      select_first_, count_dead_, count_blocks_, select_offsets_, select_walk_, select_event_, select_item_,
      select_floor_;
};

// Patterns as one text for a column, and back.
std::string joined(const std::vector<std::string>& patterns);
std::vector<std::string> split_patterns(std::string_view text);

}  // namespace belfry::sqlite
