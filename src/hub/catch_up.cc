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

void Shard::pump_ready(Timestamp now) {
  Parts& parts = *parts_;
  parts.pumping.swap(parts.ready);
  for (const SessionId id : parts.pumping) {
    Session* session = find(id);
    if (session != nullptr && session->state == SessionState::ready) pump(*session, now);
  }
  parts.pumping.clear();
}

void Shard::pump(Session& session, Timestamp now) {
  Parts& parts = *parts_;
  if (!tell_reset(session)) return;
  const bool ask_follows = session.has_feed && !session.feed->follows_known;
  if (ask_follows || session.position < parts.view.low()) return ask_page(session);
  session.from_earliest = false;  // it has a place now, and misses what is trimmed after it
  if (session.position < head_) {
    parts.view.slice(session, session.position, limits::write_events_max, parts.slice);
    if (!offer(session, parts.slice.entries, parts.slice.upto, now)) return;
  }
  if (session.position < head_) return make_ready(session);
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
  const Written told = session.outlet->reset({*session.reset, session.position});
  if (told.taken > 0) {
    session.reset.reset();
    ++counts_.resets;
    if (told.state == OutletState::open) return true;
  }
  settle(session, told.state);
  return false;
}

void Shard::ask_page(Session& session) {
  PageQuestion question{session.id(), ++session.question, {}};
  for (const auto& membership : session.memberships)
    question.request.selectors.push_back(membership.group->selector);
  question.request.after = session.position;
  if (session.has_feed && !session.feed->follows_known) {
    question.request.follows_of = session.feed->user;
    question.request.after = std::max(session.position, session.feed->follows_at);
    if (planted_.follow_from_now) question.request.after = head_;
  }
  if (!pages_.ask(std::move(question))) return retry_later(session);
  session.state = SessionState::waiting;
  ++counts_.pages;
}

void Shard::on_page(PageAnswer answer, Timestamp now) {
  Session* session = find(answer.session);
  if (session == nullptr || session->state != SessionState::waiting) return;
  // It may have asked anew meanwhile: other selectors, or a write that blocked and was over.
  if (answer.number != session->question && !planted_.accept_any_answer) return;
  if (!answer.page) {
    log_warn("page", {{"error", answer.page.error().text()}});
    return retry_later(*session);
  }
  take_page(*session, answer.page.value(), now);
}

void Shard::take_page(Session& session, Page& page, Timestamp now) {
  if (session.has_feed && !session.feed->follows_known) {
    return take_follows(session, page);
  }
  if (session.from_earliest || planted_.ignore_floor) {
    session.floor_known = std::max(session.floor_known, page.floor);
    session.from_earliest = false;  // from here on it has a place, and misses what is trimmed after it
  } else if (page.floor > std::max(session.position, session.floor_known)) {
    session.floor_known = page.floor;
    session.reset = ResetReason::horizon;
    if (session.has_feed) return follow_anew(session);
    if (!tell_reset(session)) return;
  }
  std::deque<Entry> entries;  // of this page alone: encoded for one session, freed when the page is written
  std::vector<const Entry*> offered;
  for (auto& event : page.events) offered.push_back(&entries.emplace_back(std::move(event)));
  if (planted_.newest_first_page) std::reverse(offered.begin(), offered.end());
  const Offset upto = planted_.skip_commits_during_replay ? head_ : std::max(page.upto, session.position);
  if (offer(session, offered, upto, now)) make_ready(session);
}

bool Shard::offer(Session& session, std::vector<const Entry*>& entries, Offset upto, Timestamp now) {
  std::erase_if(entries, [&](const Entry* entry) {
    if (entry->gone() || entry->event().expired(now)) return true;
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
