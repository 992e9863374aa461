#include "log/log.h"

#include <algorithm>
#include <unordered_set>

#include "log/group.h"

namespace belfry {
namespace {

constexpr std::size_t kFillRows = 512;   // read at once when the tail is filled at the start
constexpr std::uint64_t kWorkPerMarkedId = 24;  // FeedRows::work, at least
constexpr std::size_t kUsualGroup = 2;  // requests for which a group has room from the start

// A row that is not there any more: it keeps the offsets consecutive, no topic matches it.
Event hole(Offset offset) {
  Event event;
  event.offset = offset;
  return event;
}

// Scheduled for the past, or too far away.
Result<void> check_schedule(const std::vector<Timestamp>& deliver_at, Timestamp now) {
  for (std::size_t i = 0; i < deliver_at.size(); ++i) {
    const std::string field =
        deliver_at.size() == 1 ? "deliver_at" : "events[" + std::to_string(i) + "].deliver_at";
    if (deliver_at[i] <= now) return fail(Code::bad_parameter, "It is in the past.", field);
    if (deliver_at[i] > now + limits::schedule_max)
      return fail(Code::bad_parameter, "It is more than a year away.", field);
  }
  return {};
}

}  // namespace

Log::Log(Store& store, LogOptions options) : store_(store), options_(std::move(options)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open(Store& store, LogOptions options, Epoch fresh) {
  std::unique_ptr<Log> log(new Log(store, std::move(options)));
  Opened opened = TRY(store.open(fresh));
  if (log->options_.planted.keep_epoch && opened.epochs.size() > 1) opened.epochs.pop_back();
  log->epochs_ = EpochTable(opened.epochs);
  TRY(log->fill_tail(opened));
  return log;
}

Result<void> Log::fill_tail(const Opened& opened) {
  const Offset upto = options_.planted.drop_unindexed ? opened.indexed : opened.head;
  const std::size_t warm = options_.warm_rows;
  Offset after = std::min(opened.indexed, opened.head > warm ? opened.head - warm : 0);
  std::vector<Event> rows = TRY(store_.read_log(after, upto, kFillRows));
  // What lies below the first row that is still there was trimmed: the tail begins after it.
  const Offset first = rows.empty() ? opened.head + 1 : rows.front().offset;
  if (first - 1 <= opened.indexed) after = std::max(after, first - 1);
  tail_ = std::make_unique<Tail>(after, options_.tail_bytes_max);
  if (!options_.planted.forget_time || !rows.empty()) last_time_ = opened.newest;
  // Which topics have lost what lies below, is known to the store alone.
  // Its pages end where the index ends, so that has to reach as far.
  const Offset floor = options_.planted.forget_floors ? 0 : TRY(store_.highest_floor());
  if (floor > opened.indexed) TRY(store_.index_now());
  tail_->set_holes(floor);
  while (after < opened.head) {
    std::vector<Event> filled;
    for (auto& row : rows) {
      while (after + 1 < row.offset) filled.push_back(hole(++after));
      after = row.offset;
      filled.push_back(std::move(row));
    }
    if (rows.empty())
      while (after < opened.head) filled.push_back(hole(++after));
    tail_->append(std::make_shared<const Batch>(std::move(filled)));
    tail_->trim(opened.indexed);
    rows = TRY(store_.read_log(after, upto, kFillRows));
  }
  return {};
}

bool Log::is_ephemeral(std::string_view topic) const {
  return std::any_of(options_.ephemeral.begin(), options_.ephemeral.end(),
                     [topic](const std::string& pattern) { return matches(pattern, topic); });
}

std::vector<PublishOutcome> Log::publish(std::span<PublishRequest> requests, Timestamp now) {
  begin_group(now);
  for (PublishRequest& request : requests) add(std::move(request));
  return commit_group();
}

bool Log::see(Timestamp now) {
  const bool plausible = now.value >= limits::clock_earliest;
  if (plausible) seen_ = now;
  return plausible;
}

void Log::date(RevokeCommand& command) const {
  const Timestamp now = std::max(last_time_, seen_);
  Revocation& revocation = command.revocation;
  if (command.so_far) revocation.not_before = std::max(revocation.not_before, now);
  revocation.forget = std::max(revocation.forget, now + limits::revocation_kept);
}

// A clock that is earlier than this program is wrong, and dates nothing. One that is behind by more than a
// little was put back, because it had been wrong: what follows is dated by it.
void Log::take_time(Timestamp now) {
  if (see(now) && last_time_ - now > limits::clock_ahead_max) {
    log_warn("the clock was put back", {{"from", format_rfc3339(last_time_)}, {"to", format_rfc3339(now)}});
    step_from_ = std::max(last_time_, step_from_.value_or(last_time_));
    last_time_ = now;
    ++time_steps_;
  }
  last_time_ = std::max({last_time_, now, Timestamp{limits::clock_earliest}});
  if (step_from_ && *step_from_ <= last_time_) step_from_.reset();
}

void Log::begin_group(Timestamp now) {
  take_time(now);
  group_ = std::make_unique<Group>();
  group_->now = now;
  group_->requests.reserve(kUsualGroup);
  group_->outcomes.reserve(kUsualGroup);
  if (planner_ != nullptr) planner_->begin_group();
}

Log::Room Log::room_of(const PublishRequest& request) {
  Room room{request.command ? 1 : request.events.size() + request.changes.size()};
  for (const Event& event : request.events) room.bytes += event.bytes();
  return room;
}

bool Log::fits(const PublishRequest& request) const {
  const Group& group = *group_;
  if (group.requests.empty() || options_.planted.unbounded_group) return true;
  if (request.command && std::holds_alternative<EraseCommand>(*request.command)) return false;
  const Room room = room_of(request);
  const auto* mark = request.command ? std::get_if<MarkCommand>(&*request.command) : nullptr;
  const std::uint64_t work = mark != nullptr ? mark->ids.size() * kWorkPerMarkedId : 0;
  return group.rows + room.rows <= limits::commit_rows_max &&
         group.bytes + room.bytes <= limits::group_bytes_max && group.work + work <= limits::group_work_max;
}

Log::Added Log::add(PublishRequest&& request) {
  Group& group = *group_;
  const std::size_t index = group.requests.size();
  group.requests.push_back(std::move(request));
  group.outcomes.emplace_back(fail(Code::internal));
  const PublishRequest& added = group.requests.back();
  std::uint64_t work = 0;
  if (added.command && !failure_) {
    const std::uint64_t before = store_.feed_rows().work();
    work = take_command(group, index, *added.command, group.now);
    work += store_.feed_rows().work() - before;
  }
  group.work += work;
  const Room taken = room_of(added);
  group.rows += taken.rows;
  group.bytes += taken.bytes;
  const bool room = options_.planted.unbounded_group ||
                    (group.rows < limits::commit_rows_max && group.bytes < limits::group_bytes_max &&
                    group.work < limits::group_work_max);
  return {room, work};
}

Result<bool> Log::erase_some(EraseCommand& command) {
  if (failure_) return *failure_;
  const Erased erased =
      TRY(store_.erase_some({command.user, command.after}, limits::housekeeping_rows_max));
  tail_->withdraw(erased.withdrawn);
  if (!erased.withdrawn.empty()) command.after = erased.withdrawn.back();
  return erased.more;
}

std::vector<PublishOutcome> Log::commit_group() {
  const std::unique_ptr<Group> owned = std::move(group_);
  Group& group = *owned;
  for (std::size_t i = 0; i < group.requests.size(); ++i) {
    const PublishRequest& request = group.requests[i];
    if (failure_) {
      group.outcomes[i] = *failure_;
    } else if (!request.command && (request.idempotency_key.empty() || options_.planted.forget_keys ||
                                    !answer_repeat(group, i, request))) {
      take(group, i, group.now);
    }
  }
  if (!group.parts.empty()) commit(group);
  for (auto [index, original] : group.same_as) {
    group.outcomes[index] = group.outcomes[original];
    if (group.outcomes[index]) group.outcomes[index].value().replayed = true;
  }
  return std::move(group.outcomes);
}

// True if the request needs no storing: it repeats another one, or misuses its key.
bool Log::answer_repeat(Group& group, std::size_t index, const PublishRequest& request) {
  for (std::size_t i = 0; i < group.records.size(); ++i) {
    const auto& record = group.records[i];
    if (record.principal != request.principal || record.key != request.idempotency_key) continue;
    if (record.body != request.body) {
      group.outcomes[index] = fail(Code::idempotency_mismatch);
    } else {
      const auto owner = std::find_if(group.parts.begin(), group.parts.end(), [&](const Group::Part& part) {
        return part.index == static_cast<std::size_t>(record.first);
      });
      group.same_as.emplace_back(index, owner->index);
    }
    return true;
  }
  auto found = store_.find_idempotency(request.principal, request.idempotency_key);
  if (!found) {
    group.outcomes[index] = found.error();
    return true;
  }
  if (!found.value()) return false;
  if (found.value()->body != request.body) {
    group.outcomes[index] = fail(Code::idempotency_mismatch);
  } else {
    group.outcomes[index] = repeat_of(*found.value(), request);
  }
  return true;
}

// What the first request was answered, as far as it is still known: an event that is gone has no seq.
Result<Published> Log::repeat_of(const IdempotencyRecord& record, const PublishRequest& request) {
  Published published;
  published.replayed = true;
  const bool durable = record.count > 0 && !record.scheduled;
  std::vector<Event> rows;
  if (durable) rows = TRY(store_.read_log(record.first - 1, record.first - 1 + record.count, record.count));
  auto row = rows.begin();
  std::uint64_t taken = 0;
  for (const Event& event : request.events) {
    Placed placed{{}, 0, event.topic, 0};
    if (record.scheduled) {
      placed.scheduled = record.first + taken++;
    } else if (durable && taken < record.count && !is_ephemeral(event.topic)) {
      const Offset offset = record.first + taken++;
      placed.cursor = epochs_.cursor(offset);
      while (row != rows.end() && row->offset < offset) ++row;
      if (row != rows.end() && row->offset == offset) placed.seq = row->seq;
    }
    published.events.push_back(std::move(placed));
  }
  return published;
}

void Log::take(Group& group, std::size_t index, Timestamp now) {
  PublishRequest& request = group.requests[index];
  if (!request.deliver_at.empty()) return take_scheduled(group, index, request, now);
  Group::Part part{index};
  const std::size_t first = group.durable.size();
  if (!request.event_keys.empty()) {
    auto known = known_events(group, request);
    if (!known) {
      group.outcomes[index] = known.error();
      return;
    }
    part.known = std::move(known).value();
  }
  for (std::size_t i = 0; i < request.events.size(); ++i) {
    Event& event = request.events[i];
    if (!part.known.empty() && part.known[i]) {
      part.order.emplace_back(false, 0);
      continue;
    }
    event.time = last_time_;
    const bool durable = !is_ephemeral(event.topic);
    if (!request.event_keys.empty()) {
      group.event_keys.insert(request.principal + '\n' + request.event_keys[i]);
      group.event_records.push_back({request.principal, request.event_keys[i], request.event_bodies[i],
                                     group.durable.size(), durable ? 1u : 0u, now});
      part.stored = true;
    }
    part.stored |= durable;
    auto& events = durable ? group.durable : group.ephemeral;
    part.order.emplace_back(durable, events.size());
    events.push_back(std::move(event));
  }
  part.stored |= !request.changes.empty() || !request.idempotency_key.empty();
  for (Change& change : request.changes) group.changes.push_back(std::move(change));
  if (!request.idempotency_key.empty()) {
    // `first` names the request until commit() knows where its events begin.
    group.records.push_back({request.principal, request.idempotency_key, request.body, index,
                             group.durable.size() - first, now});
  }
  group.parts.push_back(std::move(part));
}

Result<std::vector<std::optional<Placed>>> Log::known_events(const Group& group,
                                                             const PublishRequest& request) {
  std::vector<std::optional<Placed>> out(request.events.size());
  std::unordered_set<std::string_view, KeyedHash> keys;
  const auto mismatch = [](std::size_t i) {
    return fail(Code::idempotency_mismatch, {}, "events[" + std::to_string(i) + "].id");
  };
  for (std::size_t i = 0; i < request.events.size(); ++i) {
    const std::string& key = request.event_keys[i];
    // Twice within a request or a group: rare, and told to come again rather than stored twice.
    if (!keys.insert(key).second)
      return fail(Code::bad_parameter, "The same source and id twice.", mismatch(i).field);
    if (group.event_keys.contains(request.principal + '\n' + key)) return fail(Code::overloaded);
    const auto found = TRY(store_.find_idempotency(request.principal, key));
    if (!found) continue;
    if (found->body != request.event_bodies[i]) return mismatch(i);
    out[i] = Placed{{}, 0, request.events[i].topic, 0};
    if (found->count == 0) continue;  // it was not stored
    const auto rows = TRY(store_.read_log(found->first - 1, found->first, 1));
    out[i]->cursor = epochs_.cursor(found->first);
    if (!rows.empty()) out[i]->seq = rows[0].seq;
  }
  return out;
}

// Its time is looked at here, behind the key: what was accepted once may be due when it is repeated.
void Log::take_scheduled(Group& group, std::size_t index, PublishRequest& request, Timestamp now) {
  if (auto checked = check_schedule(request.deliver_at, request.arrived.value_or(now)); !checked) {
    group.outcomes[index] = checked.error();
    return;
  }
  Group::Part part{index};
  part.first_scheduled = group.scheduled;
  part.stored = true;
  for (std::size_t i = 0; i < request.events.size(); ++i) {
    part.scheduled.push_back(request.events[i].topic);
    group.changes.push_back(
        PutScheduled{{0, request.deliver_at[i], request.principal, std::move(request.events[i]),
                      request.issued, request.token_id}});
  }
  group.scheduled += part.scheduled.size();
  if (!request.idempotency_key.empty())
    group.records.push_back({request.principal, request.idempotency_key, request.body, index,
                             part.scheduled.size(), now, true});
  group.parts.push_back(std::move(part));
}

// Returns what planning cost beside the store.
std::uint64_t Log::take_command(Group& group, std::size_t index, const Command& command, Timestamp now) {
  if (planner_ == nullptr) {
    group.outcomes[index] = fail(Code::not_found);
    return 0;
  }
  auto planned = planner_->plan(command, now);
  if (!planned) {
    group.outcomes[index] = planned.error();
    return 0;
  }
  CommandPlan& plan = planned.value();
  Group::Part part{index};
  part.command = std::move(plan.answer);
  // What it was answered may rest on what others of the group change, so it stands or falls with them.
  part.stored = !std::holds_alternative<PresenceCommand>(command);
  for (Change& change : plan.changes) {
    if (auto* begin = std::get_if<BeginFollow>(&change)) begin->event += group.durable.size();
    if (auto* end = std::get_if<EndFollow>(&change)) end->event += group.durable.size();
    group.changes.push_back(std::move(change));
  }
  for (Event& event : plan.events) {
    event.time = last_time_;
    const bool durable = event.type != join_type && event.type != leave_type;
    part.stored |= durable;
    auto& events = durable ? group.durable : group.ephemeral;
    part.order.emplace_back(durable, events.size());
    events.push_back(std::move(event));
  }
  part.place = group.durable.size();
  group.parts.push_back(std::move(part));
  return plan.work;
}

// With the places of what they remember: `first` named the request so far.
std::vector<IdempotencyRecord> Log::records_of(const Group& group) const {
  std::vector<IdempotencyRecord> records = group.records;
  for (auto& record : records) {
    const auto owner = std::find_if(group.parts.begin(), group.parts.end(), [&](const Group::Part& part) {
      return part.index == static_cast<std::size_t>(record.first);
    });
    const auto begin =
        std::find_if(owner->order.begin(), owner->order.end(), [](auto place) { return place.first; });
    record.first = record.scheduled              ? owner->first_scheduled
                   : begin == owner->order.end() ? 0
                                                 : begin->second;
  }
  records.insert(records.end(), group.event_records.begin(), group.event_records.end());
  return records;
}

// Nothing to store is a success.
Result<Committed> Log::store(Group& group) {
  const std::vector<IdempotencyRecord> records = records_of(group);
  if (group.durable.empty() && records.empty() && group.changes.empty()) return Committed{};
  const bool steps = step_from_ && !group.durable.empty();
  if (steps && !options_.planted.believe_any_clock)
    group.changes.push_back(PutTimeStep{*step_from_, last_time_, 0});
  if (options_.planted.announce_before_commit && !group.durable.empty()) {
    auto early = group.durable;
    for (std::size_t i = 0; i < early.size(); ++i) early[i].offset = tail_->head() + 1 + i;
    tail_->append(std::make_shared<const Batch>(std::move(early)));
  }
  auto stored = store_.commit({group.durable, records, group.changes});
  if (!stored) {
    if (stored.error().code == Code::store_failed) failure_ = stored.error();
    return stored;
  }
  if (steps) step_from_.reset();
  count_arrived(group, records.size());
  return stored;
}

bool Log::commit(Group& group) {
  const auto stored = store(group);
  for (auto& part : group.parts) {
    // What needs no room goes on without; after a failure nothing does.
    part.failed = !stored && (part.stored || failure_) && !options_.planted.acknowledge_failed_commit;
    if (part.failed) group.outcomes[part.index] = stored.error();
  }
  // So do refusals: they may rest on what came to nothing.
  for (std::size_t i = 0; i < group.requests.size() && !stored; ++i) {
    const auto& command = group.requests[i].command;
    if (command && !std::holds_alternative<PresenceCommand>(*command)) group.outcomes[i] = stored.error();
  }
  const Committed committed = stored ? stored.value() : Committed{};
  answer(group, committed);
  announce_ephemeral(group);
  if (!stored) return false;
  if (!group.durable.empty() && !options_.planted.announce_before_commit) announce(group);
  tail_->withdraw(committed.withdrawn);
  return true;
}

// Of a request that was refused nothing is seen.
void Log::announce_ephemeral(const Group& group) {
  std::vector<Event> events;
  for (const auto& part : group.parts)
    for (std::size_t i = 0; i < part.order.size() && !part.failed; ++i)
      if (!part.order[i].first && (part.known.empty() || !part.known[i]))
        events.push_back(group.ephemeral[part.order[i].second]);
  if (!events.empty()) tail_->append(std::make_shared<const Batch>(std::move(events)));
}

// What housekeeping will have to do with it, some time.
void Log::count_arrived(const Group& group, std::size_t keys) {
  for (const Chore chore : {Chore::withdraw_expired, Chore::trim, Chore::sweep})
    arrived_[static_cast<std::size_t>(chore)] += group.durable.size();
  arrived_[static_cast<std::size_t>(Chore::forget_keys)] += keys;
}

void Log::announce(Group& group) {
  tail_->append(std::make_shared<const Batch>(std::move(group.durable)));
  if (tail_->wants_index(store_.indexed())) {
    // Not fatal here: the rows stay in the tail, over its bound, and the next commit meets the same
    // trouble.
    if (auto indexed = store_.index_now(); !indexed) log_warn("index", {{"error", indexed.error().text()}});
  }
  tail_->trim(options_.planted.trim_beyond_index ? tail_->head() : store_.indexed());
}

// Before the group's events are in the tail.
void Log::answer(Group& group, const Committed& committed) {
  for (auto& part : group.parts) {
    if (part.failed) continue;
    Published published;
    published.events.reserve(part.order.size());
    for (std::size_t i = 0; i < part.order.size(); ++i) {
      if (!part.known.empty() && part.known[i]) {
        published.events.push_back(*part.known[i]);
        continue;
      }
      const auto [durable, index] = part.order[i];
      const Event& event = durable ? group.durable[index] : group.ephemeral[index];
      published.events.push_back({event.cursor(), event.seq, event.topic, 0});
    }
    published.replayed =
        !part.known.empty() && std::all_of(part.known.begin(), part.known.end(),
                                           [](const auto& placed) { return placed.has_value(); });
    for (std::size_t i = 0; i < part.scheduled.size(); ++i)
      published.events.push_back(
          {{}, 0, part.scheduled[i], committed.first_scheduled + part.first_scheduled + i});
    if (part.command) {
      published.command = std::move(part.command);
      // Where its counts are true: whatever follows in the group is behind it.
      published.command->cursor = epochs_.cursor(tail_->head() + part.place);
    }
    group.outcomes[part.index] = std::move(published);
  }
}

}  // namespace belfry
