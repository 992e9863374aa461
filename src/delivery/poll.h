#pragma once
// One poll: what follows a cursor, as one JSON answer. With `wait`, it holds until there is something (long
// poll); with an ETag, it answers 304 exactly when no event of the topics asked for follows that cursor.
// Private to delivery.

#include "delivery/stream.h"

namespace belfry {

class Poll final : public Stream {
 public:
  Poll(Streams& owner, net::Exchange& exchange, Seat seat, Attach attach, PollWish wish,
       std::vector<net::Field> headers)
      : Stream(owner, exchange, std::move(seat)),
        wish_(std::move(wish)),
        headers_(std::move(headers)),
        attach_(std::move(attach)) {}

  void start();

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset& reset) override;
  OutletState caught_up(Offset position) override;
  OutletState heartbeat(Offset, std::uint64_t) override { return OutletState::open; }
  void end(Code code) override;

  Instant deadline() const override { return deadline_; }
  void on_deadline() override;
  void on_turn_end() override;

 private:
  void answer(int status, std::string_view events_json, Offset position);
  void respond(net::Response response);

  PollWish wish_;
  std::vector<net::Field> headers_;
  Attach attach_;         // where the answer begins
  Offset known_ = 0;      // the client has everything up to here, by its ETag
  bool probing_ = false;  // the session began at known_, to see whether anything follows
  Instant deadline_ = Instant::never();
};

}  // namespace belfry
