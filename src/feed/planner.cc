#include "feed/planner.h"

#include <algorithm>

#include "feed/feed.h"

namespace belfry {
namespace {

// What planning costs beside the store, in the unit of FeedRows::work.
constexpr std::uint64_t kWorkPerPresent = 16;
constexpr std::uint64_t kComparedPerWork = 8;

Event own_event(std::string topic, std::string_view type, std::string data) {
  Event event;
  event.topic = std::move(topic);
  event.type = std::string(type);
  event.data = std::move(data);
  return event;
}

// Whether the event lies in the user's feed.
bool holds(const std::string& user, const UserRows& rows, const Event& event) {
  if (event.topic == user_topic(user)) return true;
  return std::any_of(rows.follows.begin(), rows.follows.end(), [&](const Follow& follow) {
    return follow.topic == event.topic && event.offset > follow.from &&
           event.offset <= follow.to.value_or(offset_max);
  });
}

}  // namespace

void Planner::begin_group() {
  users_.clear();
  withdrawn_.clear();
  erased_.clear();
}

bool Planner::taken_out(Offset offset) const {
  return std::any_of(withdrawn_.begin(), withdrawn_.end(),
                     [offset](const Event& event) { return event.offset == offset; });
}

// Without what this group takes out.
FeedCounts Planner::without_withdrawn(FeedCounts counts, const std::string& user,
                                      const UserRows& rows) const {
  if (erased_.contains(user)) return FeedCounts{};
  for (const Event& event : withdrawn_) {
    if (event.notification.empty() || rows.mutes.hide(event.topic, event.type)) continue;
    if (!holds(user, rows, event)) continue;
    const ItemState state = rows.read.at(event.offset);
    counts.unread -= state.counts_unread() ? 1 : 0;
    counts.unseen -= state.counts_unseen() ? 1 : 0;
  }
  return counts;
}

Result<CommandPlan> Planner::plan(const Command& command, Timestamp now) {
  if (const auto* mark = std::get_if<MarkCommand>(&command)) return plan_mark(*mark, now);
  if (const auto* follow = std::get_if<FollowCommand>(&command)) return plan_follow(*follow);
  if (const auto* mute = std::get_if<MuteCommand>(&command)) return plan_mutes(*mute);
  if (const auto* retract = std::get_if<RetractCommand>(&command)) return plan_retract(*retract);
  if (const auto* cancel = std::get_if<CancelCommand>(&command)) return plan_cancel(*cancel);
  if (const auto* revoke = std::get_if<RevokeCommand>(&command)) return plan_revoke(*revoke);
  if (const auto* presence = std::get_if<PresenceCommand>(&command)) return plan_presence(*presence, now);
  return plan_erase(std::get<EraseCommand>(command));
}

Result<UserRows*> Planner::rows_of(const std::string& user) {
  const auto known = users_.find(user);
  if (known != users_.end() && !planted_.forget_overlay) return &known->second;
  return &(users_[user] = TRY(store_.feed_rows().user(user)));
}

Result<CommandPlan> Planner::plan_mark(const MarkCommand& command, Timestamp now) {
  FeedRows& feed = store_.feed_rows();
  const std::string& user = command.user;
  UserRows& rows = *TRY(rows_of(user));
  const Offset head = TRY(feed.head());
  if (planted_.forget_removals && rows.counted)
    rows.counted->removals = TRY(feed.removals(feed_spans(user, rows, 0, rows.counted->at)));
  CommandPlan plan;
  CommandAnswer& answer = plan.answer;
  FeedCounts counts = TRY(count_feed(feed, user, rows, head));
  const FeedCounts before = without_withdrawn(counts, user, rows);
  ReadState read = rows.read;
  if (command.upto) {
    const auto place = epochs_.place(*command.upto, head);
    if (place.reset) return fail(Code::bad_cursor, "It is not a place in this log.", "upto");
    const Offset upto = planted_.mark_beyond ? head : place.position;
    answer.changed = upto > 0 && read.apply(command.mark, 0, upto);
    if (answer.changed) TRY(count_change(user, rows, read, upto, head, counts));
  } else {
    answer.changed = TRY(apply_ids(command, rows, now, read, counts, answer.absent));
    if (answer.absent.size() == command.ids.size()) return fail(Code::unknown_notification, {}, "ids");
  }
  if (read.steps() > limits::read_steps_max) return fail(Code::too_many_marks);
  if (answer.changed) {
    rows.read = read;
    rows.counted = TRY(known_counts(feed, user, rows, head, counts));
  }
  answer.counts = planted_.stale_counts ? before : without_withdrawn(counts, user, rows);
  plan.work = command.ids.size() * (rows.follows.size() + withdrawn_.size()) / kComparedPerWork;
  if (!answer.changed) return plan;
  std::vector<Cursor> ids;
  for (const Cursor id : command.ids)
    if (std::find(answer.absent.begin(), answer.absent.end(), id) == answer.absent.end()) ids.push_back(id);
  plan.events.push_back(
      own_event(user_topic(user), mark_type, data_.mark(command.mark, ids, command.upto, answer.counts)));
  plan.changes.push_back(PutReadState{user, std::move(read), rows.counted});
  return plan;
}

// The counts after everything up to `upto` was marked: counted anew where fewer steps are left above than
// below, by the difference below else.
Result<void> Planner::count_change(const std::string& user, const UserRows& rows, const ReadState& read,
                                   Offset upto, Offset head, FeedCounts& counts) {
  FeedRows& feed = store_.feed_rows();
  const std::size_t above = rows.read.ranges(upto).size();
  if (2 * above < rows.read.steps()) {
    counts = TRY(count_part(feed, user, rows, read, 0, head));
    return {};
  }
  const FeedCounts was = TRY(count_part(feed, user, rows, rows.read, 0, upto));
  const FeedCounts is = TRY(count_part(feed, user, rows, read, 0, upto));
  counts.unread += is.unread - was.unread;
  counts.unseen += is.unseen - was.unseen;
  return {};
}

Result<bool> Planner::apply_ids(const MarkCommand& command, const UserRows& rows, Timestamp now,
                                ReadState& read, FeedCounts& counts, std::vector<Cursor>& absent) {
  std::vector<Offset> marked;
  const auto one_if = [](bool counted) { return std::uint64_t{counted ? 1u : 0u}; };
  for (const Cursor id : command.ids) {
    const auto item = TRY(item_in_feed(command.user, rows, id, now));
    if (!item) {
      absent.push_back(id);
      continue;
    }
    const ItemState was = read.at(id.offset);
    if (!read.apply(command.mark, id.offset - 1, id.offset)) continue;
    marked.push_back(id.offset);
    if (rows.mutes.hide(item->topic, item->type)) continue;
    const ItemState is = read.at(id.offset);
    counts.unread += one_if(is.counts_unread()) - one_if(was.counts_unread());
    counts.unseen += one_if(is.counts_unseen()) - one_if(was.counts_unseen());
  }
  if (!marked.empty()) TRY(join_empty(command.user, rows, marked, read));
  return !marked.empty();
}

Result<std::optional<Event>> Planner::item_in_feed(const std::string& user, const UserRows& rows, Cursor id,
                                                   Timestamp now) {
  const std::optional<Event> none;
  if (id.offset == 0 || epochs_.cursor(id.offset) != id) return none;
  auto event = TRY(store_.feed_rows().item_at(id.offset));
  if (!event || event->notification.empty() || event->expired(now)) return none;
  if (taken_out(id.offset) || erased_.contains(user)) return none;
  if (!planted_.mark_foreign && !holds(user, rows, *event)) return none;
  return event;
}

// Neighbouring ranges in which the feed holds nothing take the item's state, so that a feed which is read
// one by one stays one step.
Result<void> Planner::join_empty(const std::string& user, const UserRows& rows,
                                 const std::vector<Offset>& marked, ReadState& read) {
  std::map<Offset, std::pair<ReadState::Range, Offset>> beside;  // by where they begin: range, marked item
  for (const Offset offset : marked)
    for (const auto& range : read.beside(offset)) beside.try_emplace(range.after, range, offset);
  if (beside.empty()) return {};
  std::vector<OffsetRange> ranges;
  for (const auto& [after, row] : beside) ranges.push_back({row.first.after, row.first.upto});
  const auto spans = feed_spans(user, rows, ranges.front().after, ranges.back().upto);
  const auto tally = TRY(store_.feed_rows().tally(spans, {}, ranges));
  auto held = tally.begin();
  for (const auto& [after, row] : beside)
    if (*held++ == 0) read.fill(row.first, read.at(row.second));
  return {};
}

Result<CommandPlan> Planner::plan_follow(const FollowCommand& command) {
  UserRows& rows = *TRY(rows_of(command.user));
  if (matches("users/#", command.topic))
    return fail(Code::bad_topic, "A user's own topic is in that user's feed, and in no other.", "topic");
  const auto open = [](const Follow& follow) { return !follow.to; };
  const auto found = std::find_if(rows.follows.begin(), rows.follows.end(), [&](const Follow& follow) {
    return open(follow) && follow.topic == command.topic;
  });
  CommandPlan plan;
  if ((found != rows.follows.end()) == command.follow) return plan;
  plan.answer.changed = true;
  // The interval begins or ends at the event that says so; this group's other events are all later.
  if (command.follow) {
    const auto following = std::count_if(rows.follows.begin(), rows.follows.end(), open);
    if (static_cast<std::size_t>(following) >= limits::follows_max) return fail(Code::too_many_follows);
    rows.follows.push_back({command.topic, offset_max, std::nullopt});
    plan.changes.push_back(BeginFollow{command.user, command.topic, 0});
  } else {
    // Whoever comes and goes where nothing was said leaves nothing behind.
    // What retention took of it is loss, which has to be told to who was away.
    FeedRows& feed = store_.feed_rows();
    const FeedSpan held{command.topic, found->from, offset_max};
    const bool empty = found->from == offset_max || (TRY(feed.floor(command.topic)) <= found->from &&
                                                     TRY(feed.count(held, {})) == 0);
    if (empty) rows.counted.reset();
    empty ? void(rows.follows.erase(found)) : void(found->to = offset_max);
    plan.changes.push_back(EndFollow{command.user, command.topic, 0, empty});
  }
  plan.events.push_back(own_event(user_topic(command.user), command.follow ? follow_type : unfollow_type,
                                  data_.topic(command.topic)));
  return plan;
}

Result<CommandPlan> Planner::plan_mutes(const MuteCommand& command) {
  UserRows& rows = *TRY(rows_of(command.user));
  CommandPlan plan;
  if (rows.mutes == command.mutes) return plan;
  rows.mutes = command.mutes;
  rows.counted.reset();
  plan.answer.changed = true;
  plan.events.push_back(own_event(user_topic(command.user), mutes_type, data_.mutes(command.mutes)));
  plan.changes.push_back(PutMutes{command.user, command.mutes});
  return plan;
}

Result<CommandPlan> Planner::plan_retract(const RetractCommand& command) {
  const bool of_this_log = command.id.offset != 0 && epochs_.cursor(command.id.offset) == command.id;
  if (!of_this_log) return fail(Code::unknown_event);
  const auto event = TRY(store_.feed_rows().event_at(command.id.offset));
  if (!event || event->type.starts_with(own_types) || taken_out(command.id.offset))
    return fail(Code::unknown_event);
  if (!authorize(command.rights, Act::publish, event->topic)) return fail(Code::unknown_event);
  CommandPlan plan;
  plan.answer.changed = true;
  plan.events.push_back(own_event(event->topic, retract_type, data_.id(command.id)));
  withdrawn_.push_back(*event);
  plan.changes.push_back(Withdraw{command.id.offset});
  return plan;
}

Result<CommandPlan> Planner::plan_cancel(const CancelCommand& command) {
  const auto found = TRY(store_.scheduled(command.scheduled));
  if (!found || found->principal != command.principal) return fail(Code::unknown_event);
  CommandPlan plan;
  plan.answer.changed = true;
  plan.changes.push_back(DropScheduled{command.scheduled});
  return plan;
}

Result<CommandPlan> Planner::plan_erase(const EraseCommand& command) {
  users_[command.user] = UserRows{};
  erased_.insert(command.user);
  CommandPlan plan;
  plan.answer.changed = true;
  plan.events.push_back(own_event(user_topic(command.user), erase_type, {}));
  plan.changes.push_back(EraseUser{command.user, command.after});
  return plan;
}

Result<CommandPlan> Planner::plan_revoke(const RevokeCommand& command) {
  CommandPlan plan;
  plan.answer.changed = true;
  plan.events.push_back(
      own_event(std::string(revocations_topic), revoke_type, data_.revocation(command.revocation)));
  plan.changes.push_back(PutRevocation{command.revocation});
  return plan;
}

CommandPlan Planner::plan_presence(const PresenceCommand& command, Timestamp now) {
  CommandPlan plan;
  if (command.kind == PresenceCommand::Kind::list) {
    plan.answer.present = presence_.list(command.topic);
    plan.work = plan.answer.present.size() * kWorkPerPresent;
    return plan;
  }
  std::vector<PresenceChange> changes;
  // One that is not known says everything again, this too.
  plan.answer.unknown_holder = !presence_.renew(command.holder, now);
  if (plan.answer.unknown_holder) return plan;
  for (const PresenceWord& word : command.words)
    word.here ? presence_.join(word.topic, word.user, command.holder, now, changes)
              : presence_.leave(word.topic, word.user, command.holder, now);
  plan.events = told(changes);
  return plan;
}

std::vector<Event> Planner::told(const std::vector<PresenceChange>& changes) const {
  std::vector<Event> events;
  for (const auto& change : changes)
    events.push_back(
        own_event(change.topic, change.joined ? join_type : leave_type, data_.user(change.user)));
  return events;
}

std::vector<Event> Planner::tick(Timestamp now) {
  std::vector<PresenceChange> changes;
  presence_.sweep(now, changes);
  return told(changes);
}

}  // namespace belfry
