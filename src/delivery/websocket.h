#pragma once
// A WebSocket: the same events as text messages, and a client that may change what it listens to, mark its
// notifications, publish, and renew its token. The token
// comes in the first message, because browsers hide the status of a refused upgrade and log URLs. Private
// to delivery.
//
// Bound: limits::messages_turn_work_max of messages in a turn of the loop. What was read beyond that waits
// in the parser, at most one read of the socket and one message; nothing more is read meanwhile. What is in
// the parser is counted with what requests hold (net/connection_budget.h), and a message that has begun is
// whole within limits::body_time_max, also if it is not read because the client takes nothing.

#include "delivery/stream.h"

#include <map>

namespace belfry {

class WebSocketStream final : public Stream, public OutcomeReceiver {
 public:
  WebSocketStream(Streams& owner, net::Exchange& exchange, Seat seat, std::optional<Principal> known)
      : Stream(owner, exchange, std::move(seat)) {
    if (known) known_ = std::make_unique<Principal>(std::move(*known));
  }

  void start();

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset& reset) override;
  OutletState caught_up(Offset) override { return OutletState::open; }
  OutletState heartbeat(Offset position, std::uint64_t written) override;
  void end(Code code) override;

  void on_bytes(std::string_view bytes) override;
  void go_on() override;
  void on_closed() override;
  void on_outcome(std::uint64_t ticket, PublishOutcome outcome) override;
  Instant deadline() const override { return deadline_; }
  void on_deadline() override;

 private:
  void forget_input();
  // The time for the rest of what is incomplete. `anew`: it has begun since the last time.
  void await_rest(bool anew);
  // Both return the work of it, in the unit of limits::messages_turn_work_max.
  std::size_t take(net::WebSocketMessage message);
  std::size_t take_text(std::string_view text);
  void act(const wire::ClientMessage& message);
  void connect(const wire::ClientMessage& message);
  void subscribe(const wire::ClientMessage& message);
  void unsubscribe(const wire::ClientMessage& message);
  void mark(const wire::ClientMessage& message);
  void publish(const wire::ClientMessage& message);
  void renew(const wire::ClientMessage& message);
  void submit(PublishRequest request, const wire::ClientMessage& message);
  void say(const std::string& text);
  void refuse(const Error& error, const std::string& request_id);
  // Sends a close frame; the stream ends when the peer has answered or a moment later.
  void close(int code, std::string_view reason);
  void close(const Error& error);
  std::string place() const;

  // What an idle socket keeps of its principal; the rest has gone to the session.
  struct Speaker {
    explicit Speaker(Principal principal)
        : name(std::move(principal.name)), rights(std::move(principal.rights)) {
      is_user = !principal.user.empty();
    }
    std::string user() const { return is_user ? name.substr(std::string_view("user:").size()) : ""; }
    Principal principal() const { return {name, user(), rights, {}}; }
    std::string name;
    Rights rights;
    bool is_user = false;
  };

  std::unique_ptr<net::WebSocketParser> parser_;  // only while a frame or a message is incomplete
  std::unique_ptr<Principal> known_;              // by a cookie, until it is connected
  std::unique_ptr<Speaker> speaker_;              // once connected
  // Requests whose outcome is awaited: the client's id of each.
  std::unique_ptr<std::map<std::uint64_t, std::string>> awaited_;
  Instant deadline_ = Instant::never();
  bool closing_ = false;
  bool waiting_ = false;  // for go_on; messages may be in the parser
  bool taking_ = false;   // go_on is on the stack, and looks into the parser
};

}  // namespace belfry
