#include "client.h"

#include <algorithm>

namespace belfry::sim {

void Client::begin(SessionId id, const EpochTable* epochs, std::vector<Wanted> asked, bool from_earliest,
                   Timestamp expires) {
  session_ = id;
  must_end = false;
  epochs_ = epochs;
  wanted = std::move(asked);
  left.clear();
  expires_ = expires;
  written_ = 0;
  blocked_ = live_ = false;
  from_earliest_ = from_earliest;
  must_reset_ = place_is_void();
}

void Client::end_session() { session_.reset(); }

Written Client::write(std::span<const Entry* const> entries, Offset told) {
  heard_(true);
  const std::size_t taken = std::min(room, entries.size());
  for (const Entry* entry : entries.first(taken)) event(entry->event());
  if (taken == entries.size()) no_hidden_gap(told, "when a write told a place");
  room -= taken;
  blocked_ = room == 0;
  live_ &= !blocked_;
  return {taken, blocked_ ? OutletState::blocked : OutletState::open};
}

void Client::event(const Event& event) {
  ++written_;
  if (must_reset_) fail("rewind_is_told: an event came before the reset");
  if (!asked_for(event)) fail("only_what_was_asked_for: " + event.topic + " " + event.type);
  if (!event.durable()) return;
  const Fact* fact = truth_.at(event.offset);
  if (fact == nullptr || fact->event != event)
    return fail("durable_before_visible: offset " + std::to_string(event.offset));
  if (event.offset <= position)
    return fail("in_order_once: " + std::to_string(event.offset) + " after " + std::to_string(position));
  no_hidden_gap(event.offset - 1, "before an event");
  move_to(event.offset);
}

bool Client::asked_for(const Event& event) const {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const Wanted& wish) { return accepts(wish.selector, event); });
}

bool Client::excused(const Event& event, const Wanted& wish) const {
  if (event.expired(truth_.latest()) || truth_.superseded(event)) return true;
  const std::uint64_t gone = truth_.gone(event.offset);
  return gone != 0 && (event.offset <= wish.excused_upto || gone <= wish.excused_looks);
}

void Client::no_hidden_gap(Offset upto, std::string_view when) {
  // Who begins at the earliest does not miss what was trimmed before the first page.
  for (Wanted& wish : wanted)
    if (from_earliest_) wish.excused_looks = truth_.looks();
  for (Offset offset = position + 1; offset <= upto; ++offset) {
    const Fact* fact = truth_.at(offset);
    if (fact == nullptr)
      return fail("position_beyond_head: " + std::to_string(upto) + " " + std::string(when));
    const bool missed = std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& wish) {
      return offset > wish.from && accepts(wish.selector, fact->event) && !excused(fact->event, wish);
    });
    if (missed)
      fail("no_hidden_gap: " + std::to_string(offset) + " " + std::string(when));
  }
}

void Client::move_to(Offset to) {
  if (to > position) {
    from_earliest_ = false;
    std::erase_if(left, [to](const Left& one) { return one.at < to; });
  }
  position = to;
  serial = truth_.serial_at(to);
  cursor = epochs_->text(to);
}

Written Client::reset(const Reset& reset) {
  heard_(false);
  live_ = false;
  if (stutters()) {
    blocked_ = true;
    return {0, OutletState::blocked};
  }
  if (reset.reason == ResetReason::horizon) {
    const auto lost = [&](Offset offset) {
      const Event& event = truth_.at(offset)->event;
      const auto of = [&](const Selector& selector) { return matches(selector.topic, event.topic); };
      return truth_.gone(offset) != 0 &&
             (std::any_of(left.begin(), left.end(), [&](const Left& one) { return of(one.selector); }) ||
              std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& w) { return of(w.selector); }));
    };
    bool needed = position < truth_.forgotten();  // nobody knows what it was
    for (Offset offset = position + 1; offset <= truth_.head() && !needed; ++offset)
      needed = lost(offset);
    if (!needed) fail("no_needless_reset: horizon");
    for (Wanted& wish : wanted) wish.excused_upto = truth_.head();  // it loads the state as it is now
    return {1, OutletState::open};
  }
  if (!must_reset_) fail("no_needless_reset: " + std::string(name_of(reset.reason)));
  must_reset_ = false;
  move_to(reset.position);
  for (auto& wish : wanted) wish.from = reset.position;
  return {1, OutletState::open};
}

OutletState Client::caught_up(Offset to) {
  heard_(false);
  if (must_reset_) fail("rewind_is_told: caught up before the reset");
  no_hidden_gap(to, "when it was told to have caught up");
  if (to < position) return fail("position_moves_forward"), OutletState::open;
  move_to(to);
  blocked_ = stutters();
  live_ = caught_up_in_turn_ = !blocked_;
  return blocked_ ? OutletState::blocked : OutletState::open;
}

OutletState Client::heartbeat(Offset to, std::uint64_t written) {
  if (must_reset_) return OutletState::open;  // the reset is still on its way
  if (written != written_)
    fail("heartbeat_counts: " + std::to_string(written) + " of " + std::to_string(written_));
  no_hidden_gap(to, "when a heartbeat told the position");
  if (to < position) return fail("position_moves_forward"), OutletState::open;
  move_to(to);
  blocked_ = stutters();
  live_ &= !blocked_;
  return blocked_ ? OutletState::blocked : OutletState::open;
}

void Client::end(Code code) {
  if (code == Code::token_expired && expires_ > clock_.wall()) fail("ends_by_expiry: ended too early");
  if (code == Code::token_revoked && !must_end) fail("ends_by_revocation: somebody else was meant");
  end_session();
}

void Client::unblock(std::size_t fresh_room) {
  room = fresh_room;
  blocked_ = false;
}

}  // namespace belfry::sim
