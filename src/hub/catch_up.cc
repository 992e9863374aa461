// How a session that is behind gets what it missed: from the view of the tail, or page by page from the
// store. The same code serves a client that reconnects, one that was too slow, and one that asks for
// history.

#include <algorithm>
#include <unordered_map>

#include "hub/shard_parts.h"

namespace belfry {
namespace {

// Refresh events of the same topic and query keys replace each other: a client that is behind needs only
// the newest.
void collapse_refresh(std::vector<const Entry*>& entries, bool across_topics) {
  std::unordered_map<std::string, const Entry*, KeyedHash> newest;
  for (const Entry* entry : entries) {
    const Event& event = entry->event();
    if (event.is_refresh()) newest[across_topics ? event.keys : event.topic + '\n' + event.keys] = entry;
  }
  if (newest.empty()) return;
  std::erase_if(entries, [&](const Entry* entry) {
    const Event& event = entry->event();
    return event.is_refresh() &&
           newest[across_topics ? event.keys : event.topic + '\n' + event.keys] != entry;
  });
}

}  // namespace

// Users take turns by what their sessions cost. Whoever becomes ready by being pumped comes after those that
// were not pumped in this turn.
void Shard::pump_ready(Timestamp now) {
  Parts& parts = *parts_;
  parts.pumping = true;
  const std::size_t most = planted_.unbounded_turn ? ~std::size_t{0} : options_.turn_work;
  for (parts.work = 0; parts.work < most && !parts.ready.empty();) {
    const auto next = *parts.ready.pop();
    const std::size_t before = parts.work++;
    Session* session = find(next.item);
    if (session == nullptr) continue;
    session->queued = false;
    if (session->state != SessionState::ready) continue;
    // Who begins at what this shard has not taken yet waits for it, and that costs next to nothing.
    if (session->position > head_ && !session->reset) {
      make_ready(*session);
      continue;
    }
    parts.work += limits::pump_work;
    pump(*session, now);
    parts.ready.charge(next, parts.work - before - 1);
  }
  parts.pumping = false;
  for (const SessionId id : parts.later)
    if (const Session* session = find(id)) enqueue(*session);
  parts.later.clear();
}

void Shard::pump(Session& session, Timestamp now) {
  Parts& parts = *parts_;
  if (!tell_reset(session)) return;
  const bool ask_follows = session.has_feed && !session.feed->follows_known;
  const Offset whole = std::max(parts.view.low(), tail_.holes());
  if (ask_follows || session.position < whole) return ask_page(session);
  if (session.from_earliest) forgive(session, tail_.losses());
  if (session.position < head_) {
    const TailView::Most most{limits::write_events_max, options_.slice_work};
    parts.view.slice(session, session.position, most, parts.slice);
    parts.work += parts.slice.work;
    if (parts.slice.lost) return lose(session, head_);
    if (!offer(session, parts.slice.entries, parts.slice.upto, now)) return;
  }
  // Above the head stands who begins at what this shard has not taken yet.
  if (session.position != head_) return make_ready(session);
  // Caught up. It is live before it is told, so that what it answers finds it so.
  session.state = SessionState::live;
  const OutletState state = session.outlet->caught_up(head_);
  if (state == OutletState::open) return;
  session.position = head_;
  settle(session, state);
}

// False if the session can not go on now.
bool Shard::tell_reset(Session& session) {
  if (!session.reset) return true;
  const Offset beyond = std::max(session.position, session.floor_known);
  const Written told = session.outlet->reset({*session.reset, session.position, beyond});
  if (told.taken > 0) {
    if (session.reset == ResetReason::horizon) {
      session.losses_known = tail_.losses();
      session.forgiven = false;
    }
    session.reset.reset();
    ++counts_.resets;
    if (told.state == OutletState::open) return true;
  }
  settle(session, told.state);
  return false;
}

// It has a place from here on. What was lost before is not missed, what is lost later is.
void Shard::forgive(Session& session, std::uint64_t losses) const {
  session.from_earliest = false;
  session.forgiven = true;
  session.losses_known = std::max(session.losses_known, losses);
}

// What follows its position was lost, and the client is to know before it gets anything more. It then loads
// the state as it is now, so what was lost up to `floor` is no news afterwards.
void Shard::lose(Session& session, Offset floor) {
  session.floor_known = floor;
  session.reset = ResetReason::horizon;
  if (session.has_feed) follow_anew(session);
  if (tell_reset(session)) make_ready(session);
}

// Who was answered something else since waits for the answer that is on its way, and asks then.
void Shard::ask_page(Session& session) {
  if (session.asked && !planted_.accept_any_answer) {
    ++session.question;
    session.state = SessionState::waiting;
    return;
  }
  const std::uint64_t user = parts_->credentials[session.slot].user;
  PageQuestion question{session.id(), ++session.question, user != 0 ? user : session.id(), {}};
  session.losses_asked = tail_.losses();
  for (const auto& membership : session.memberships) {
    question.request.selectors.push_back(membership.group->selector);
    parts_->work += 1 + membership.group->selector.types.size();
  }
  question.request.after = session.position;
  if (session.has_feed && !session.feed->follows_known) {
    question.request.follows_of = session.feed->user;
    question.request.after = std::max(session.position, session.feed->follows_at);
    if (planted_.follow_from_now) question.request.after = head_;
  }
  if (!pages_.ask(std::move(question))) return retry_later(session);
  session.state = SessionState::waiting;
  session.asked = true;
  ++counts_.pages;
}

void Shard::on_page(PageAnswer answer, Timestamp now) {
  Session* session = find(answer.session);
  if (session == nullptr) return;
  session->asked = false;
  if (session->state != SessionState::waiting) return;
  // Something else is asked for since: other selectors, or a write blocked and that is over.
  if (answer.number != session->question && !planted_.accept_any_answer) return make_ready(*session);
  if (!answer.page) {
    log_warn("page", {{"error", answer.page.error().text()}});
    return retry_later(*session);
  }
  take_page(*session, answer.page.value(), now);
}

namespace {

// Whether retention took something that the page should hold. `losses`: of the tail, now. Who was forgiven
// a floor of one topic knows the highest of all its topics only: if anything was lost since, the lower ones
// may have risen.
bool misses(const Session& session, const Page& page, std::uint64_t losses) {
  if (page.floor <= session.position) return false;
  return page.floor > session.floor_known || (session.forgiven && losses > session.losses_known);
}

}  // namespace

void Shard::take_page(Session& session, Page& page, Timestamp now) {
  if (session.has_feed && !session.feed->follows_known) {
    return take_follows(session, page);
  }
  if (session.from_earliest || planted_.ignore_floor) {
    session.floor_known = std::max(session.floor_known, page.floor);
    forgive(session, session.losses_asked);
  } else if (misses(session, page, tail_.losses())) {
    return lose(session, std::max(session.floor_known, page.floor));
  }
  std::deque<Entry> entries;  // of this page alone: encoded for one session, freed when the page is written
  std::vector<const Entry*> offered;
  for (auto& event : page.events) offered.push_back(&entries.emplace_back(std::move(event)));
  if (planted_.newest_first_page) std::reverse(offered.begin(), offered.end());
  const Offset upto = planted_.skip_commits_during_replay ? head_ : std::max(page.upto, session.position);
  if (offer(session, offered, upto, now)) make_ready(session);
}

bool Shard::offer(Session& session, std::vector<const Entry*>& entries, Offset upto, Timestamp now) {
  parts_->work += limits::entry_work * entries.size();
  std::erase_if(entries, [&](const Entry* entry) {
    if (entry->withdrawn() || entry->event().expired(now)) return true;
    return session.has_feed && hidden(session, entry->event());
  });
  const Entry* change = cut_at_change(session, entries, upto);
  collapse_refresh(entries, planted_.collapse_across_topics);
  std::size_t at = 0;
  while (at < entries.size()) {
    const std::size_t count = std::min(entries.size() - at, limits::write_events_max);
    ++counts_.writes;
    const Written written = session.outlet->write({entries.data() + at, count},
                                                  at + count == entries.size() ? upto : session.position);
    counts_.delivered += written.taken;
    session.written += written.taken;
    at += written.taken;
    if (written.taken == count && written.state == OutletState::open) continue;
    session.position =
        at == entries.size() || planted_.position_past_untaken ? upto : entries[at]->event().offset - 1;
    if (planted_.repeat_after_block && at > 0) session.position = entries[at - 1]->event().offset - 1;
    if (change != nullptr && at == entries.size()) change_feed(session, change->event());
    settle(session, written.state);
    return false;
  }
  session.position = upto;
  if (change != nullptr) change_feed(session, change->event());
  return true;
}

}  // namespace belfry
