#include "delivery/websocket.h"

#include "delivery/streams_make.h"

namespace belfry {
namespace {

std::string websocket_frame(const Event& event) { return net::websocket_text(wire::envelope(event)); }

constexpr std::size_t kTokenWork = 16;        // a signature is checked
constexpr std::size_t kEightIdsBytes = 256;   // of a mark, about
constexpr std::size_t kTextUnitBytes = 1024;

std::size_t work_of(const wire::ClientMessage& message) {
  using Action = wire::ClientMessage::Action;
  std::size_t work = message.topics.size() + message.types.size();
  if (message.action == Action::connect || message.action == Action::renew) work += kTokenWork;
  if (message.action == Action::mark) work += message.body.size() / kEightIdsBytes;
  return work;
}

}  // namespace

void WebSocketStream::start() {
  exchange().upgrade({}, *this);
  deadline_ = parts().clock.now() + limits::first_message_time_max;
  watch_deadline();
}

// What is missing while messages wait is a turn, not a byte.
void WebSocketStream::on_deadline() {
  if (waiting_) return watch_deadline();
  close(fail(Code::timeout,
             speaker_ ? "The rest of a message did not come in time." : "No connect message came in time."));
}

void WebSocketStream::on_bytes(std::string_view bytes) {
  if (closing_) return;  // a client need not stop sending when it is told that this is over
  if (!parser_) parser_ = std::make_unique<net::WebSocketParser>();
  parser_->feed(bytes);
  if (!waiting_) return go_on();
  if (!exchange().keep(parser_->held())) close(fail(Code::overloaded));
}

void WebSocketStream::go_on() {
  const bool held = std::exchange(waiting_, false);
  if (closing_) return;
  std::size_t work = 0;
  bool anew = false;
  taking_ = true;
  while (!closing_ && work < limits::messages_turn_work_max) {
    auto message = parser_->next();
    if (!message) break;
    work += take(std::move(*message));
    anew |= !parser_->in_message();
  }
  taking_ = false;
  if (const auto failure = parser_->failure()) {
    close(failure->close_code, failure->reason);
  } else if (!closing_ && !exchange().keep(parser_->held())) {
    close(fail(Code::overloaded));
  }
  if (closing_) return forget_input();
  waiting_ = work >= limits::messages_turn_work_max && !parser_->idle();
  await_rest(anew);
  if (closing_) return;
  if (parser_->idle()) parser_.reset();
  if (waiting_) want_turn();
  if (waiting_ && !held) exchange().hold_input();
  if (held && !waiting_) exchange().take_input();
}

// Until it is connected, all of it has one time.
void WebSocketStream::await_rest(bool anew) {
  if (!speaker_) return;
  if (parser_->idle()) {
    deadline_ = Instant::never();
  } else if (anew || deadline_ == Instant::never()) {
    deadline_ = parts().clock.now() + limits::body_time_max;
    watch_deadline();
  } else if (deadline_ <= parts().clock.now()) {
    on_deadline();  // it came while whole ones waited
  }
}

// Nothing that came means anything any more.
void WebSocketStream::forget_input() {
  parser_.reset();
  (void)exchange().keep(0);
}

std::size_t WebSocketStream::take(net::WebSocketMessage message) {
  using Kind = net::WebSocketMessage::Kind;
  switch (message.kind) {
    case Kind::text:
      return take_text(message.payload);
    case Kind::binary:
      close(1003, "Send text messages.");
      break;
    case Kind::ping:
      if (!exchange().write_control(net::websocket_pong(message.payload))) close(fail(Code::overloaded));
      break;
    case Kind::pong:
      break;
    case Kind::close:
      // RFC 6455 section 5.5.1: answered with the same code.
      close(message.close_code == 1005 ? 1000 : message.close_code, {});
      break;
  }
  return 1;
}

std::size_t WebSocketStream::take_text(std::string_view text) {
  const std::size_t work = 1 + text.size() / kTextUnitBytes;
  const auto parsed = wire::parse_client_message(text);
  if (!parsed) {
    speaker_ ? refuse(parsed.error(), {}) : close(parsed.error());
    return work;
  }
  act(parsed.value());
  return work + work_of(parsed.value());
}

void WebSocketStream::act(const wire::ClientMessage& message) {
  using Action = wire::ClientMessage::Action;
  if (!speaker_ && message.action != Action::connect)
    return close(fail(Code::unauthenticated, "The first message must be a connect message."));
  switch (message.action) {
    case Action::connect:
      return speaker_ ? refuse(fail(Code::bad_request, "Already connected."), message.id)
                      : connect(message);
    case Action::subscribe:
      return subscribe(message);
    case Action::unsubscribe:
      return unsubscribe(message);
    case Action::mark:
      return mark(message);
    case Action::publish:
      return publish(message);
    case Action::renew:
      return renew(message);
    case Action::ping:
      return say(wire::control_pong(message.id));
  }
}

void WebSocketStream::connect(const wire::ClientMessage& message) {
  const bool by_cookie = message.token.empty() && known_ != nullptr;
  auto principal = by_cookie ? Result<Principal>(*known_) : parts().gate.authenticate(message.token);
  if (!principal) return close(principal.error());
  if (auto stands = parts().gate.check(principal.value()); !stands) return close(stands.error());
  known_.reset();
  const Wish wish{message.topics, message.types, message.since, message.feed};
  std::vector<Selector> selectors;
  if (!wish.topics.empty() || wish.feed) {
    auto checked = check_selectors(wish, principal.value());
    if (!checked) return close(checked.error());
    selectors = std::move(checked).value();
  }
  if (auto seated = take_user_seat(principal.value().user); !seated) return close(seated.error());
  const Principal& known = principal.value();
  deadline_ = Instant::never();
  Attach attach = place_session(wish.since, parts().epochs, parts().tail.head());
  attach.selectors = std::move(selectors);
  if (wish.feed) attach_feed(attach, known.user, wish.types);
  attach.credential = credential_of(known);
  attach.user = known.user;
  attach.expires = known.expires.value_or(Timestamp{Duration::max()});
  speaker_ = std::make_unique<Speaker>(std::move(principal).value());
  say(wire::control_connected(welcome(attach)));
  Stream::attach(std::move(attach));
}

void WebSocketStream::subscribe(const wire::ClientMessage& message) {
  auto selectors = check_selectors({message.topics, message.types}, speaker_->principal());
  if (!selectors) return refuse(selectors.error(), message.id);
  if (!parts().shard.subscribe(session(), selectors.value(), speaker_->user()))
    return refuse(fail(Code::too_many_topics, {}, "topics"), message.id);
  say(wire::control_subscribed(message.topics, place(), message.id));
  parts().schedule_turn();
}

void WebSocketStream::unsubscribe(const wire::ClientMessage& message) {
  std::vector<Selector> selectors;
  for (const auto& topic : message.topics) {
    auto selector = make_selector(topic, message.types);
    if (!selector) return refuse(selector.error(), message.id);
    selectors.push_back(std::move(selector).value());
  }
  parts().shard.unsubscribe(session(), selectors);
  say(wire::control_unsubscribed(message.topics, message.id));
  parts().schedule_turn();
}

void WebSocketStream::submit(PublishRequest request, const wire::ClientMessage& message) {
  if (awaited_ && awaited_->size() >= limits::websocket_requests_max)
    return refuse(fail(Code::overloaded, "Wait for the answers to what was asked before."), message.id);
  const auto ticket = parts().desk.submit(std::move(request), *this);
  if (!ticket) return refuse(ticket.error(), message.id);
  if (!awaited_) awaited_ = std::make_unique<std::map<std::uint64_t, std::string>>();
  awaited_->emplace(ticket.value(), message.id);
}

void WebSocketStream::mark(const wire::ClientMessage& message) {
  if (!speaker_->is_user)
    return refuse(fail(Code::forbidden, "A backend has no feed of its own."), message.id);
  auto body = wire::parse_mark_body(message.body);
  if (!body) return refuse(body.error(), message.id);
  PublishRequest request;
  request.command =
      MarkCommand{speaker_->user(), body.value().mark, std::move(body.value().ids), body.value().upto};
  submit(std::move(request), message);
}

void WebSocketStream::publish(const wire::ClientMessage& message) {
  auto body = wire::parse_publish_body(message.body, wire::BodyForm::json);
  if (!body) return refuse(body.error(), message.id);
  if (auto allowed = authorize_events(speaker_->rights, body.value().events); !allowed)
    return refuse(allowed.error(), message.id);
  if (auto room = parts().desk.check_load(speaker_->principal(), body.value().events); !room)
    return refuse(room.error(), message.id);
  if (!body.value().deliver_at.empty())
    return refuse(fail(Code::bad_parameter, "Schedule by HTTP.", "deliver_at"), message.id);
  PublishRequest request;
  request.events = std::move(body.value().events);
  request.principal = speaker_->name;
  request.idempotency_key = message.idempotency_key;
  if (!request.idempotency_key.empty()) request.body = hash_of_body(message.body);
  submit(std::move(request), message);
}

void WebSocketStream::on_outcome(std::uint64_t ticket, PublishOutcome outcome) {
  const auto found = awaited_->find(ticket);
  const std::string id = std::move(found->second);
  awaited_->erase(found);
  if (awaited_->empty()) awaited_.reset();
  if (closing_) return;
  if (!outcome) return refuse(outcome.error(), id);
  const Published& published = outcome.value();
  if (published.command) {
    const CommandAnswer& answer = *published.command;
    return say(wire::control_answer(
        "marked", id,
        wire::mark_answer(answer.changed, to_text(answer.cursor), answer.counts, answer.absent)));
  }
  say(wire::control_answer("published", id, answer_of(published)));
}

void WebSocketStream::on_closed() {
  if (awaited_)
    for (const auto& [ticket, id] : *awaited_) parts().desk.forget(ticket);
  Stream::on_closed();
}

// The stream goes on under the new token. What that one does not grant ends at once.
void WebSocketStream::renew(const wire::ClientMessage& message) {
  auto renewed = parts().gate.authenticate(message.token);
  if (!renewed) return refuse(renewed.error(), message.id);
  if (renewed.value().name != speaker_->name)
    return refuse(fail(Code::forbidden, "The token is of somebody else.", "token"), message.id);
  const Timestamp expires = renewed.value().expires.value_or(Timestamp{Duration::max()});
  const Credential credential = credential_of(renewed.value());
  speaker_->rights = std::move(renewed.value().rights);
  std::vector<Selector> lost;
  std::vector<std::string> topics;
  for (auto& selector : parts().shard.selectors(session())) {
    if (authorize(speaker_->rights, Act::subscribe, selector.topic)) continue;
    topics.push_back(selector.topic);
    lost.push_back(std::move(selector));
  }
  parts().shard.unsubscribe(session(), lost);
  parts().shard.renew(session(), expires, credential);
  say(wire::control_renewed(topics, message.id));
  parts().schedule_turn();
}

std::string WebSocketStream::place() const {
  const auto position = parts().shard.position(session());
  return position ? parts().epochs.text(*position) : to_text(Cursor{});
}

Written WebSocketStream::write(std::span<const Entry* const> entries, Offset) {
  return write_frames(entries, [](const Entry& entry) -> const std::string& {
    return entry.frame(Format::websocket, websocket_frame);
  });
}

Written WebSocketStream::reset(const Reset& reset) {
  return write_kept(
      net::websocket_text(wire::control_reset(reset.reason, parts().epochs.text(reset.position))));
}

OutletState WebSocketStream::heartbeat(Offset position, std::uint64_t written) {
  return write_one(net::websocket_text(wire::control_heartbeat(parts().epochs.text(position), written)));
}

void WebSocketStream::end(Code code) { close(parts().admission.with_retry(fail(code))); }

void WebSocketStream::say(const std::string& text) {
  // Answers are few and small: a client that asks without reading is closed.
  if (!exchange().write_control(net::websocket_text(text))) close(fail(Code::overloaded));
}

void WebSocketStream::refuse(const Error& error, const std::string& request_id) {
  say(wire::control_error(error, request_id));
}

void WebSocketStream::close(const Error& error) {
  if (closing_) return;
  // The whole error as a message, for people who debug; the close code and its name for programs.
  exchange().write_control(net::websocket_text(wire::control_error(error)));
  close(info(error.code).close, info(error.code).name);
}

void WebSocketStream::close(int code, std::string_view reason) {
  if (closing_) return;
  closing_ = true;
  detach();
  exchange().write_control(net::websocket_close(code, reason));
  if (!taking_) forget_input();
  exchange().close();
}

void Streams::open_websocket(net::Exchange& exchange, Seat seat, std::optional<Principal> known) {
  make<WebSocketStream>(exchange, std::move(seat), std::move(known)).start();
}

}  // namespace belfry
