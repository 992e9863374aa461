#pragma once
// What a commit changes beside its events: follows, read state, mutes, scheduled events. Private to
// sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; every call inside a transaction.

#include <set>

#include "store/sqlite/access_rows.h"
#include "store/sqlite/erasure.h"
#include "store/sqlite/event_writer.h"
#include "store/sqlite/source_rows.h"
#include "store/store.h"

namespace belfry::sqlite {

class ChangeWriter {
 public:
  explicit ChangeWriter(EventWriter& events) : events_(events), erasure_(events) {}
  Result<void> prepare(Database& database);

  // `base`: the head before the group's events.
  Result<void> apply(const Change& change, Offset base, Committed& committed);

  Result<std::vector<Scheduled>> due(Timestamp now, std::size_t rows_max);
  Result<std::optional<Scheduled>> scheduled(std::uint64_t id);
  SourceRows& sources() { return sources_; }
  AccessRows& access() { return access_; }
  Erasure& erasure() { return erasure_; }

 private:
  Result<void> add_principals_due(Timestamp now, std::set<std::string>& out);
  Result<void> apply_one(const PutReadState& change);
  Result<void> apply_one(const PutMutes& change);
  Result<void> begin_follow(const BeginFollow& change, Offset base);
  Result<void> end_follow(const EndFollow& change, Offset base);
  Result<void> withdraw(Offset offset, Committed& committed);
  Result<void> erase(const EraseUser& change, Committed& committed);
  Result<void> schedule(const Scheduled& scheduled, Committed& committed);
  Result<void> put_time_step(const PutTimeStep& step, Offset first);

  EventWriter& events_;
  SourceRows sources_;
  AccessRows access_;
  Erasure erasure_;
  Database* database_ = nullptr;
  std::string due_after_;  // the principal that was looked at last for what is due
  Statement put_read_, put_mutes_, begin_follow_, end_follow_, forget_follow_, forget_counts_,
      select_principal_, select_waits_, erase_user_, erase_follows_, insert_scheduled_, drop_scheduled_,
      select_due_, select_due_of_, select_scheduled_, put_time_step_, drop_time_steps_;
};

}  // namespace belfry::sqlite
