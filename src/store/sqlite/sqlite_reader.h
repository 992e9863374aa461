#pragma once
// Pages of the log from a read-only connection. Private to sqlite/.

#include "store/sqlite/feed_rows.h"
#include "store/sqlite/page_filter.h"
#include "store/sqlite/schema.h"
#include "store/store.h"

namespace belfry::sqlite {

class SqliteReader final : public StoreReader {
 public:
  static Result<std::unique_ptr<StoreReader>> open(const std::string& path, const std::string& vfs,
                                                   EpochTable epochs);

  Result<Page> read(const PageRequest& request) override;
  Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) override;
  Result<void> snapshot(const std::function<Result<void>(FeedRows&)>& ask) override;

 private:
  struct Topic {
    std::int64_t id;
    Offset floor;
  };
  struct Resolved {
    std::vector<Topic> topics;
    bool too_many = false;
  };
  // What the patterns of one page have cost so far.
  struct Walk {
    std::size_t names = 0, matched = 0, work = 0;
  };

  explicit SqliteReader(EpochTable epochs) : epochs_(std::move(epochs)) {}
  Result<void> prepare();
  Result<Page> read_in_transaction(const PageRequest& request);
  Result<Page> read_follows(const PageRequest& request);
  Result<Resolved> resolve(const PatternSet& topics, Page& page);
  Result<void> resolve_range(const NameRange& range, const PatternSet& topics, Walk& walk,
                             Resolved& resolved, Page& page);
  Result<Page> read_topics(PageFilter& filter, const Resolved& resolved, Offset indexed, Page page);
  Result<Page> scan(PageFilter& filter, Offset indexed, Page page);
  // Below it nobody knows any more what was there.
  Result<Offset> forgotten_above(Offset after);
  Result<Offset> floor_of_matching(const PageFilter& filter, Page& page);

  Database database_;
  EpochTable epochs_;
  SqliteFeedRows feed_rows_{epochs_};
  Statement select_indexed_, select_topic_, select_range_, select_offsets_, select_event_, select_log_,
      select_floors_, select_forgotten_;
};

}  // namespace belfry::sqlite
