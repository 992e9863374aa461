#include "delivery/poll.h"

#include <algorithm>

#include "delivery/streams_make.h"

namespace belfry {

void Poll::start() {
  exchange().defer(*this);
  // This needs nothing of the shard, which may have no time before the wait is over.
  if (attach_.reset) return (void)reset({*attach_.reset, attach_.position, attach_.position});
  if (wish_.since.empty()) {
    answer(200, {}, attach_.position);
    return;
  }
  Attach first = attach_;
  if (!wish_.if_none_match.empty()) {
    // A tag of another epoch is no tag: the answer is then given whole.
    const Attach known = place_session(wish_.if_none_match, parts().epochs, parts().tail.head());
    if (!known.reset && known.position >= attach_.position) {
      known_ = known.position;
      probing_ = true;
      first.position = known_;
      first.from_earliest = false;
    }
  }
  if (wish_.wait > Duration{0}) {
    deadline_ = parts().clock.now() + wish_.wait;
    watch_deadline();
  }
  Stream::attach(std::move(first));
}

Written Poll::write(std::span<const Entry* const> entries, Offset position) {
  if (probing_ && known_ != attach_.position) {
    // Something follows the tag, so the answer is 200 and must hold everything since `since`.
    want_turn_end();
    return {0, OutletState::done};
  }
  const std::size_t most = std::min(entries.size(), limits::poll_events_max);
  std::size_t count = 0;
  std::string events;
  // The first is always given.
  while (count < most && events.size() < limits::page_bytes_max) {
    const Entry* entry = entries[count++];
    const std::string& line = wish_.cloud_events ? entry->frame(Format::cloud_line, wire::cloud_line)
                                                 : entry->frame(Format::json_line, wire::json_line);
    if (!events.empty()) events += ',';
    events.append(line, 0, line.size() - 1);  // without the line feed
  }
  // Up to the first that waits for the next question. Ephemeral ones do not wait, and have no place.
  for (std::size_t i = count; i < entries.size(); ++i) {
    if (!entries[i]->event().durable()) continue;
    position = entries[i]->event().offset - 1;
    break;
  }
  answer(200, events, position);
  return {count, OutletState::done};
}

void Poll::on_turn_end() {
  probing_ = false;
  Stream::attach(attach_);
}

OutletState Poll::caught_up(Offset position) {
  if (wish_.wait > Duration{0}) return OutletState::open;
  answer(probing_ ? 304 : 200, {}, position);
  return OutletState::done;
}

void Poll::on_deadline() {
  const Offset position = parts().shard.position(session()).value_or(known_);
  const bool nothing_new = probing_;
  detach();
  answer(nothing_new ? 304 : 200, {}, position);
}

Written Poll::reset(const Reset& reset) {
  net::Response response = net::error_response(fail(Code::cursor_lost));
  response.body = wire::poll_reset_body(response.body, reset.reason, parts().epochs.text(reset.beyond));
  respond(std::move(response));
  return {1, OutletState::done};
}

void Poll::end(Code code) { respond(net::error_response(parts().admission.with_retry(fail(code)))); }

void Poll::answer(int status, std::string_view events_json, Offset position) {
  const std::string cursor = parts().epochs.text(position);
  net::Response response;
  response.status = status;
  response.headers = {{"Cache-Control", "private, no-cache"},
                      {"Vary", "Authorization, Origin, Accept"},
                      {"ETag", '"' + cursor + '"'},
                      {"Belfry-Cursor", cursor}};
  if (status != 304 && wish_.cloud_events) {
    response.headers.emplace_back("Content-Type", "application/cloudevents-batch+json");
    response.body = "[" + std::string(events_json) + "]";
  } else if (status != 304) {
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = wire::poll_body(events_json, cursor, wish_.next_prefix + cursor, limits::poll_after_ms);
  }
  respond(std::move(response));
}

void Poll::respond(net::Response response) {
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  exchange().respond(std::move(response));
  finished();
}

void Streams::open_poll(net::Exchange& exchange, Seat seat, Attach attach, PollWish wish,
                        const std::vector<net::Field>& headers) {
  make<Poll>(exchange, std::move(seat), std::move(attach), std::move(wish), headers).start();
}

}  // namespace belfry
