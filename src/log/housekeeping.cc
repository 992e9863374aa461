// What nobody asks for: what is due, what expired, what is old. In slices, each of one kind, between the
// groups of those who publish.

#include <algorithm>

#include "log/group.h"

namespace belfry {

// What is due becomes true like anything that is published; its row goes in the same transaction.
Result<std::size_t> Log::publish_due(Timestamp now, std::size_t rows_max) {
  std::vector<Scheduled> due = TRY(store_.due(now, rows_max));
  if (due.empty()) return std::size_t{0};
  take_time(now);
  Group group;
  group.now = now;
  std::size_t published = 0, refused = 0;
  for (Scheduled& scheduled : due) {
    if (group.bytes >= limits::group_bytes_max) break;
    group.bytes += scheduled.event.bytes();
    ++published;
    group.changes.push_back(DropScheduled{scheduled.id});
    if (options_.stands && !options_.stands(scheduled)) {
      ++refused;
      continue;
    }
    scheduled.event.time = last_time_;
    const bool durable = !is_ephemeral(scheduled.event.topic);
    (durable ? group.durable : group.ephemeral).push_back(std::move(scheduled.event));
  }
  const std::vector<Event> ephemeral = std::move(group.ephemeral);
  if (!commit(group)) return failure_ ? *failure_ : fail(Code::store_full);
  refused_due_ += refused;
  if (refused > 0)
    log_warn("scheduled events were not published: who scheduled them was revoked",
             {{"events", std::to_string(refused)}});
  if (!ephemeral.empty()) tail_->append(std::make_shared<const Batch>(ephemeral));
  return published;
}

Result<std::size_t> Log::withdraw_expired(Timestamp now, std::size_t rows_max) {
  const std::vector<Offset> expired = TRY(store_.expired(now, rows_max));
  if (expired.empty()) return std::size_t{0};
  std::vector<Change> changes;
  for (const Offset offset : expired) changes.push_back(Withdraw{offset});
  TRY(store_.commit({{}, {}, changes}));
  tail_->withdraw(expired);
  return expired.size();
}

Result<std::size_t> Log::trim(const Now& now, std::size_t rows_max) {
  if (!options_.retention) return std::size_t{0};
  const Offset upto = TRY(store_.last_older(*options_.retention, now));
  const std::vector<Offset> gone = TRY(store_.trim(upto, rows_max));
  tail_->lose(gone);
  return gone.size();
}

Result<std::size_t> Log::do_chore(Chore chore, const Now& now, std::size_t rows_max) {
  switch (chore) {
    case Chore::publish_due:
      return publish_due(now.wall, limits::commit_rows_max);
    case Chore::withdraw_expired:
      return withdraw_expired(now.settled, rows_max);
    case Chore::trim:
      return trim(now, rows_max);
    case Chore::sweep: {
      const std::vector<Offset> swept = TRY(store_.sweep(options_.rules, now, rows_max));
      tail_->lose(swept);
      // Topics without anything old are no end: others wait behind them.
      return swept.size() + (!options_.rules.empty() && store_.sweep_unfinished() ? 1 : 0);
    }
    case Chore::forget_keys:
      return store_.forget_keys(now.settled + -limits::idempotency_time, rows_max);
    case Chore::forget_access:
      return store_.forget_access(now.settled, rows_max);
    case Chore::forget_remains:
      return store_.forget_remains(now.settled, rows_max);
  }
  return std::size_t{0};
}

void Log::tick(Timestamp now) {
  see(now);
  if (planner_ == nullptr) return;
  std::vector<Event> events = planner_->tick(now);
  for (Event& event : events) event.time = now;
  if (!events.empty()) tail_->append(std::make_shared<const Batch>(std::move(events)));
}

Result<bool> Log::maintain(const Now& now) {
  if (failure_) return *failure_;
  for (std::size_t tried = 0; tried < chores; ++tried) {
    const std::size_t chore = next_chore_;
    next_chore_ = (next_chore_ + 1) % chores;
    // A quarter more than what came, so that a backlog ends.
    const std::size_t came = arrived_[chore];
    const std::size_t rows =
        options_.planted.unbounded_slice
            ? ~std::size_t{0} / 2
            : std::clamp(came + came / 4, limits::housekeeping_rows_min, limits::housekeeping_rows_max);
    const Now by = options_.planted.believe_any_jump ? Now(now.wall) : now;
    const std::size_t done = TRY(do_chore(static_cast<Chore>(chore), by, rows));
    arrived_[chore] -= came;
    if (done > 0) return true;
  }
  return false;
}

}  // namespace belfry
