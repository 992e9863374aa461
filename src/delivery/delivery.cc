#include "delivery/delivery.h"

#include <algorithm>
#include <utility>

#include "delivery/stream.h"

namespace belfry {

Result<std::vector<Selector>> check_selectors(const Wish& wish, const Principal& principal) {
  if (wish.feed && principal.user.empty())
    return fail(Code::forbidden, "A backend has no feed of its own.", "feed");
  for (const auto& type : wish.types) {
    auto checked = check_type_pattern(type);
    if (!checked) return fail(Code::bad_type, checked.error().detail, "type");
  }
  if (wish.topics.empty() && !wish.feed)
    return fail(Code::missing_field, "Name at least one topic.", "topic");
  if (wish.topics.size() > limits::stream_topics_max) return fail(Code::too_many_topics, {}, "topic");
  if (wish.types.size() > limits::stream_types_max) return fail(Code::too_many_topics, {}, "type");
  std::vector<Selector> selectors;
  for (const auto& topic : wish.topics) {
    auto selector = make_selector(topic, wish.types);
    if (!selector) return selector.error();
    TRY(authorize(principal.rights, Act::subscribe, topic));
    selectors.push_back(std::move(selector).value());
  }
  return selectors;
}

void attach_feed(Attach& attach, std::string user, std::vector<std::string> types) {
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  attach.feed_of = std::move(user);
  attach.feed_types = std::move(types);
}

Attach place_session(std::string_view since, const EpochTable& epochs, Offset head) {
  Attach attach;
  if (since == "earliest") {
    attach.from_earliest = true;
    return attach;
  }
  attach.position = head;
  if (since.empty() || since == "now") return attach;
  const auto cursor = parse_cursor(since);
  if (!cursor) {
    attach.reset = ResetReason::lost;
    return attach;
  }
  const auto place = epochs.place(cursor.value(), head);
  attach.position = place.position;
  attach.reset = place.reset;
  return attach;
}

Result<void> Stream::take_user_seat(std::string_view user) {
  auto seat = TRY(parts().admission.take_seat(user, {}));
  seat_.user = seat.release().user;
  return {};
}

wire::Welcome Stream::welcome(const Attach& attach) const {
  wire::Welcome out;
  // Whoever does not hear the reset that follows is to come back for it, not with a place behind it.
  out.cursor = attach.reset ? to_text(Cursor{}) : parts().epochs.text(attach.position);
  out.user = attach.user;
  out.heartbeat_ms = static_cast<std::uint32_t>(parts().heartbeat.count());
  // Each stream has its own, so that clients do not all come back at once when the server is gone.
  out.retry_ms = parts().admission.retry_ms();
  if (attach.expires.value != Duration::max())
    out.ttl_ms = static_cast<std::uint64_t>(
        std::max(Duration{0}, attach.expires.value - parts().clock.wall().value).count());
  return out;
}

void Stream::attach(Attach attach) {
  session_ = parts().shard.attach(*this, std::move(attach), parts().clock.now());
  parts().schedule_turn();
}

void Stream::detach() {
  if (session_ == no_session) return;
  parts().shard.detach(session_);
  session_ = no_session;
}

void Stream::on_writable() {
  if (session_ == no_session) return;
  parts().shard.writable(session_);
  parts().schedule_turn();
}

void Stream::on_closed() {
  detach();
  finished();
}

Written Stream::write_frames(std::span<const Entry* const> entries, FrameOf frame_of) {
  const net::Taken taken = exchange_->write(owner_.run_.of(entries, frame_of));
  return {taken.pieces, taken.blocked ? OutletState::blocked : OutletState::open};
}

Written Stream::write_kept(std::string_view bytes) {
  if (!exchange_->write_control(bytes)) return {0, OutletState::blocked};
  return {1, OutletState::open};
}

OutletState Stream::write_one(std::string_view bytes) {
  const net::Taken taken = exchange_->write({&bytes, 1});
  return taken.blocked ? OutletState::blocked : OutletState::open;
}

void Stream::finished() {
  exchange_ = nullptr;
  owner_.drop(*this);
}

Streams::Streams(DeliveryParts parts) : parts_(std::move(parts)) {}
Streams::~Streams() = default;

void Streams::drop(Stream& stream) {
  if (stream.timed_) std::erase(timed_, &stream);
  std::erase(turn_end_, &stream);
  std::erase(waiting_, &stream);
  std::unique_ptr<Stream>& slot = slots_[stream.slot];
  if (!slot) return;
  --count_;
  free_slots_.push_back(stream.slot);
  // The stream may be on the stack right now.
  if (dropped_.empty()) parts_.later([this] { dropped_.clear(); });
  dropped_.push_back(std::move(slot));
}

void Streams::go_on_later(Stream& stream) {
  waiting_.push_back(&stream);
  post_go_on();
}

void Streams::post_go_on() {
  if (waiting_.empty() || std::exchange(go_on_posted_, true)) return;
  parts_.later([this] {
    go_on_posted_ = false;
    if (waiting_.empty()) return;
    Stream* stream = waiting_.front();
    waiting_.pop_front();
    post_go_on();  // whatever this one does
    stream->go_on();
  });
}

void Streams::after_turn() {
  for (Stream* stream : std::exchange(turn_end_, {})) stream->on_turn_end();
}

void Streams::tick(Instant now) {
  // A WebSocket may wait for nothing any more.
  std::vector<Stream*> due;
  std::erase_if(timed_, [&](Stream* stream) {
    const Instant deadline = stream->deadline();
    stream->timed_ = deadline > now && deadline != Instant::never();
    if (deadline <= now) due.push_back(stream);
    return !stream->timed_;
  });
  for (Stream* stream : due) stream->on_deadline();
}

}  // namespace belfry
