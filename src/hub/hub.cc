#include "hub/hub.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "hub/shard_parts.h"

namespace belfry {
namespace {

constexpr std::int64_t kNever = Duration::max().count();

// Ten thousand sessions are not in the cache. While one is written to, which takes the kernel microseconds,
// the next ones are fetched, each step one pointer further: the session, its outlet, what the outlet
// touches.
void fetch_ahead(const std::vector<Session*>& sessions, std::size_t at) {
  if (at + 3 >= sessions.size()) return;
  __builtin_prefetch(sessions[at + 3], 1);
  const char* outlet = reinterpret_cast<const char*>(sessions[at + 2]->outlet);
  __builtin_prefetch(outlet);
  __builtin_prefetch(outlet + limits::cache_line_bytes);
  sessions[at + 1]->outlet->fetch();
}

}  // namespace

Shard::Shard(const Tail& tail, PageSource& pages, ShardOptions options)
    : tail_(tail), pages_(pages), options_(std::move(options)), parts_(std::make_unique<Parts>()) {
  head_ = tail_.since(0).low;
  parts_->view.restart(head_);
  do take_news(Timestamp{});
  while (!parts_->news.batches.empty());
}

Shard::~Shard() = default;

Session* Shard::find(SessionId id) const {
  const auto slot = static_cast<std::uint32_t>(id);
  if (slot >= parts_->sessions.size()) return nullptr;
  Session& session = parts_->sessions[slot];
  const bool alive = session.state != SessionState::free && session.slot_generation == id >> 32;
  return alive ? &session : nullptr;
}

SessionId Shard::attach(Outlet& outlet, Attach attach, Instant now) {
  Parts& parts = *parts_;
  if (parts.free_slots.empty()) {
    parts.free_slots.push_back(static_cast<std::uint32_t>(parts.sessions.size()));
    parts.sessions.emplace_back().slot = parts.free_slots.back();
    parts.deadlines.push_back({});
    parts.credentials.push_back({});
  }
  Session& session = parts.sessions[parts.free_slots.back()];
  parts.free_slots.pop_back();
  session.outlet = &outlet;
  session.position = attach.position;
  session.from_earliest = attach.from_earliest;
  session.reset = attach.reset;
  if (planted_.ignore_floor) session.losses_known = ~std::uint64_t{0};
  for (const auto& selector : attach.selectors) parts.index.join(session, selector);
  if (!attach.feed_of.empty()) attach_feed(session, attach);
  session.memberships.shrink_to_fit();
  parts.deadlines[session.slot] = {attach.expires.value.count(), next_heartbeat(now)};
  parts.credentials[session.slot] = attach.credential;
  if (attach.ticket != 0 && parts.tickets.size() <= session.slot) parts.tickets.resize(session.slot + 1);
  if (session.slot < parts.tickets.size()) parts.tickets[session.slot] = attach.ticket;
  appear(session, attach.selectors, attach.user);
  ++session_count_;
  make_ready(session);
  return session.id();
}

void Shard::detach(SessionId id) {
  if (Session* session = find(id)) forget(*session);
}

void Shard::forget(Session& session) {
  vanish(session);
  parts_->index.leave_all(session);
  const std::uint32_t slot = session.slot;
  const std::uint32_t generation = session.slot_generation + 1;
  session = Session{};
  session.slot = slot;
  session.slot_generation = generation;
  parts_->deadlines[slot] = {kNever, kNever};
  parts_->free_slots.push_back(slot);
  --session_count_;
}

bool Shard::subscribe(SessionId id, const std::vector<Selector>& selectors, const std::string& user) {
  Session* session = find(id);
  if (session == nullptr) return true;
  if (!has_room(*session, selectors)) return false;
  bool changed = false;
  for (const auto& selector : selectors) changed |= parts_->index.join(*session, selector);
  if (!changed) return true;
  appear(*session, selectors, user);
  // What was told of the others, or forgiven, says nothing of what these have lost. A reset that is still to
  // be told covers them.
  if (!session->reset) {
    session->floor_known = session->losses_known = 0;
    session->forgiven = false;
  }
  // A page that is on its way knows nothing of the new selectors; it must not move the position past their
  // events.
  if (session->state == SessionState::waiting && !planted_.accept_stale_page) make_ready(*session);
  if (planted_.forget_late_topic) session->position = std::max(session->position, head_);
  return true;
}

void Shard::unsubscribe(SessionId id, const std::vector<Selector>& selectors) {
  Session* session = find(id);
  if (session == nullptr) return;
  bool changed = false;
  for (const auto& selector : selectors)
    if (!of_feed(*session, selector)) changed |= parts_->index.leave(*session, selector);
  if (!changed) return;
  disappear(*session, selectors);
  if (session->state == SessionState::waiting) make_ready(*session);
}

void Shard::writable(SessionId id) {
  Session* session = find(id);
  if (session != nullptr && session->state == SessionState::blocked) make_ready(*session);
}

void Shard::make_ready(Session& session) {
  session.state = SessionState::ready;
  if (session.queued) return;
  session.queued = true;
  parts_->pumping ? parts_->later.push_back(session.id()) : enqueue(session);
}

// Behind all others of its user. A backend's sessions have no user: each is on its own.
void Shard::enqueue(const Session& session) {
  const std::uint64_t user = parts_->credentials[session.slot].user;
  const std::uint64_t lane = planted_.one_lane ? 1 : user != 0 ? user : session.id();
  CHECK(parts_->ready.push({0, lane}, 1, 0, session.id()));
}

bool Shard::awaits_place(const Session& session) {
  return session.reset && *session.reset != ResetReason::horizon;
}

std::optional<Offset> Shard::position(SessionId id) const {
  const Session* session = find(id);
  if (session == nullptr || awaits_place(*session)) return std::nullopt;
  return session->state == SessionState::live ? head_ : session->position;
}

bool Shard::advance(Timestamp now) {
  if (planted_.behind_first) pump_ready(now);
  take_news(now);
  pump_ready(now);
  return !parts_->ready.empty() || !parts_->news.batches.empty() || tail_.version() != parts_->version;
}

// Everything new goes to the live sessions it is for: gathered event by event, written session by session.
// More than the budget of a turn is taken in the next one, before anything that came meanwhile.
void Shard::take_news(Timestamp now) {
  Parts& parts = *parts_;
  if (parts.news.batches.empty() && !fetch_news()) return;
  parts.turn_base = head_;
  auto& batches = parts.news.batches;
  // A single event needs no gathering: each session is written to as it is found.
  parts.single = batches.size() == 1 && batches[0]->entries.size() == 1;
  std::size_t entries = 0;
  parts.work = 0;
  while (parts.news_batch < batches.size()) {
    const BatchPtr& batch = batches[parts.news_batch];
    for (; parts.news_entry < batch->entries.size(); ++parts.news_entry) {
      const std::size_t cost = ++entries + parts.pending.size() + parts.work / limits::news_work;
      if (cost > options_.turn_news) return flush();
      take_entry(batch->entries[parts.news_entry], now);
    }
    if (batch->entries.front().event().durable()) parts.view.hold(batch);
    parts.news_entry = 0;
    ++parts.news_batch;
  }
  flush();
  batches.clear();  // what was gathered of ephemeral events is kept by nothing else
  parts.view.trim(parts.news.low);
}

// False if there is nothing.
bool Shard::fetch_news() {
  Parts& parts = *parts_;
  if (tail_.version() == parts.version) return false;
  parts.news = tail_.since(parts.version);
  parts.news_batch = parts.news_entry = 0;
  parts.version = parts.news.version;
  if (parts.news.low > head_) overrun(parts.news.low);
  return true;
}

void Shard::take_entry(const Entry& entry, Timestamp now) {
  Parts& parts = *parts_;
  if (!entry.event().durable()) return deliver_ephemeral(entry);
  if (entry.event().offset <= head_) return;
  const auto& topic = parts.view.add(entry, parts.index);
  head_ = entry.event().offset;
  if (const std::uint64_t loss = entry.lost(); loss != 0) {
    miss(entry, loss, topic.patterns);
  } else if (!entry.event().expired(now) && !entry.withdrawn()) {
    deliver(entry, topic.patterns);
  }
}

// The tail moved on before this shard looked: what its live sessions missed is in the store.
void Shard::overrun(Offset low) {
  ++counts_.overruns;
  for (Session& session : parts_->sessions) {
    if (session.state != SessionState::live || planted_.ignore_overrun) continue;
    session.position = head_;
    make_ready(session);
  }
  head_ = low;
  parts_->view.restart(low);
}

void Shard::deliver(const Entry& entry, const Patterns& patterns) {
  Parts& parts = *parts_;
  ++parts.delivery;
  if (planted_.skip_type_filter) {
    TopicIndex::select_all(patterns, parts.found);
  } else {
    parts.work += parts.index.select(patterns, entry.event(), parts.found);
  }
  for (const Group* group : parts.found) {
    const auto& members = group->members;
    parts.work += 1 + members.size();
    for (std::size_t i = 0; i < members.size(); ++i) {
      fetch_ahead(members, i);
      Session* session = members[i];
      if (session->state != SessionState::live) continue;
      if (std::exchange(session->newest_delivery, parts.delivery) == parts.delivery) continue;
      if (session->has_feed) {
        if (hidden(*session, entry.event())) continue;
        if (changes_feed(*session, entry.event())) {
          hold_before(*session, entry.event().offset);
          continue;
        }
      }
      parts.single ? write_single(*session, entry) : gather(*session, entry);
    }
  }
}

// Retention was faster than this shard: who is live stands before the event, and is told so there.
void Shard::miss(const Entry& entry, std::uint64_t loss, const Patterns& patterns) {
  TopicIndex::select_all(patterns, parts_->found);
  for (const Group* group : parts_->found)
    for (Session* session : group->members)
      if (session->state == SessionState::live && loss > session->losses_known)
        hold_before(*session, entry.event().offset);
}

void Shard::deliver_ephemeral(const Entry& entry) {
  Parts& parts = *parts_;
  ++parts.delivery;
  parts.index.find(entry.event().topic, parts.patterns);
  parts.work += parts.index.select(parts.patterns, entry.event(), parts.found);
  for (const Group* group : parts.found) {
    parts.work += 1 + group->members.size();
    for (Session* session : group->members) {
      if (std::exchange(session->newest_delivery, parts.delivery) == parts.delivery) continue;
      if (session->state == SessionState::live) {
        gather(*session, entry);
      } else {
        ++counts_.ephemeral_dropped;
      }
    }
  }
}

void Shard::gather(Session& session, const Entry& entry) {
  Parts& parts = *parts_;
  const auto link = static_cast<std::uint32_t>(parts.pending.size());
  parts.pending.push_back({&entry, no_pending});
  if (session.first_pending == no_pending) {
    session.first_pending = link;
    parts.touched.push_back(&session);
  } else {
    parts.pending[session.last_pending].next = link;
  }
  session.last_pending = link;
}

// The common case, apart: one event in this turn. What does not go smoothly is settled by flush(), because
// members must not leave their group while it is being walked.
void Shard::write_single(Session& session, const Entry& entry) {
  const Entry* entries[] = {&entry};
  ++counts_.writes;
  const Written written = session.outlet->write(entries, head_);
  counts_.delivered += written.taken;
  session.written += written.taken;
  if (written.taken == 1 && written.state == OutletState::open) return;
  session.position = written.taken == 1 || planted_.position_past_untaken ? head_ : head_ - 1;
  if (planted_.repeat_after_block && written.taken == 1) --session.position;
  session.state = SessionState::blocked;
  parts_->stopped.emplace_back(session.id(), written.state);
}

void Shard::flush() {
  Parts& parts = *parts_;
  for (std::size_t i = 0; i < parts.touched.size(); ++i) {
    fetch_ahead(parts.touched, i);
    flush_session(*parts.touched[i], parts.turn_base);
  }
  parts.touched.clear();
  parts.pending.clear();
  for (const auto& [id, state] : parts.stopped)
    if (Session* session = find(id)) settle(*session, state);
  parts.stopped.clear();
}

void Shard::flush_session(Session& session, Offset base) {
  Parts& parts = *parts_;
  const Entry* entries[limits::write_events_max];
  std::size_t count = 0;
  std::uint32_t link = session.first_pending;
  for (; link != no_pending && count < limits::write_events_max; link = parts.pending[link].next)
    entries[count++] = parts.pending[link].entry;
  session.first_pending = session.last_pending = no_pending;

  ++counts_.writes;
  // One that is held back before a change of its feed stands there, not at the head.
  const Offset end = session.state == SessionState::live ? head_ : session.position;
  // What is pending beyond one write is not passed.
  Offset upto = end;
  for (std::uint32_t left = link; left != no_pending && upto == end; left = parts.pending[left].next)
    if (const Event& event = parts.pending[left].entry->event(); event.durable())
      upto = std::min(end, event.offset - 1);
  const Written written = session.outlet->write({entries, count}, upto);
  counts_.delivered += written.taken;
  session.written += written.taken;
  if (written.state == OutletState::done) return forget(session);
  if (written.taken == count && link == no_pending && written.state == OutletState::open) return;

  // Behind from here on. Everything before the first durable entry that was not taken has been written to
  // it.
  session.position = end;
  for (std::size_t i = written.taken; i < count; ++i) {
    if (!entries[i]->event().durable()) {
      ++counts_.ephemeral_dropped;
    } else if (session.position == end) {
      session.position = std::max(base, entries[i]->event().offset - 1);
    }
  }
  if (session.position == end) session.position = upto;
  if (planted_.position_past_untaken) session.position = head_;
  if (planted_.repeat_after_block && session.position > base) --session.position;
  settle(session, written.state);
}

void Shard::settle(Session& session, OutletState state) {
  if (state == OutletState::blocked) {
    session.state = SessionState::blocked;
  } else if (state == OutletState::done) {
    forget(session);
  } else {
    make_ready(session);
  }
}

std::int64_t Shard::next_heartbeat(Instant now) const {
  return (options_.heartbeat == Duration{0} ? Instant::never() : now + options_.heartbeat).value.count();
}

void Shard::tick(Instant now, Timestamp wall) {
  Parts& parts = *parts_;
  for (std::uint32_t slot = 0; slot < parts.deadlines.size(); ++slot) {
    auto& deadline = parts.deadlines[slot];
    if (wall.value.count() >= deadline.expires && !planted_.ignore_expiry) {
      Outlet* outlet = parts.sessions[slot].outlet;
      forget(parts.sessions[slot]);
      outlet->end(Code::token_expired);
      continue;
    }
    if (now.value.count() < deadline.heartbeat) continue;
    deadline.heartbeat = next_heartbeat(now);
    Session& session = parts.sessions[slot];
    if (session.state == SessionState::blocked || awaits_place(session)) continue;
    const bool live = session.state == SessionState::live;
    const Offset told = live || planted_.heartbeat_tells_head ? head_ : session.position;
    const OutletState state = session.outlet->heartbeat(told, session.written);
    if (state == OutletState::open) continue;
    if (live) session.position = head_;
    settle(session, state);
  }
  for (const SessionId id : std::exchange(parts.retrying, {})) {
    Session* session = find(id);
    if (session != nullptr && session->state == SessionState::retrying) make_ready(*session);
  }
}

void Shard::retry_later(Session& session) {
  session.state = SessionState::retrying;
  parts_->retrying.push_back(session.id());
}

}  // namespace belfry
