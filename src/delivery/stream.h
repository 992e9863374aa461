#pragma once
// What all streams have in common: a session on one side, an exchange on the other, and an end. Private to
// delivery.
//
// Owner: Streams. Thread: the shard's.
// Always: the session is detached before the stream goes; the stream goes only after its exchange is
// closed.

#include "delivery/delivery.h"

namespace belfry {

class Stream : public Outlet, public net::StreamEvents {
 public:
  Stream(Streams& owner, net::Exchange& exchange, Seat seat)
      : owner_(owner), exchange_(&exchange), seat_(seat.release()) {}
  ~Stream() override { parts().admission.give_back(seat_); }

  // The exchange may begin within a cache line that holds other things of the write. One that has answered
  // is null, and fetching from there does nothing.
  void fetch() const override {
    const auto address = reinterpret_cast<std::uintptr_t>(exchange_);
    __builtin_prefetch(reinterpret_cast<const void*>(address), 1);
    __builtin_prefetch(reinterpret_cast<const void*>(address - limits::cache_line_bytes), 1);
  }
  void on_writable() override;
  void on_bytes(std::string_view) override {}
  void on_closed() override;

  // The time at which on_deadline is called, or never.
  virtual Instant deadline() const { return Instant::never(); }
  virtual void on_deadline() {}
  // After a turn of the shard in which want_turn_end was called: the shard may be called again.
  virtual void on_turn_end() {}
  // In the turn of the loop that want_turn asked for.
  virtual void go_on() {}

  std::uint32_t slot = 0;

 protected:
  DeliveryParts& parts() const { return owner_.parts_; }
  net::Exchange& exchange() const { return *exchange_; }
  SessionId session() const { return session_; }

  // Counts for the user from now on; Code::too_many_streams beyond the cap.
  Result<void> take_user_seat(std::string_view user);
  // What the client is told first of a session that begins so.
  wire::Welcome welcome(const Attach& attach) const;
  void attach(Attach attach);
  void detach();
  // Offers frames of the entries; `frame_of` gives an entry's bytes for this transport.
  Written write_frames(std::span<const Entry* const> entries, FrameOf frame_of);
  // One message of our own that must not be lost: the beginning of a stream, a reset.
  Written write_kept(std::string_view bytes);
  // One message of our own. Blocked if it was not taken whole; then it is lost, except for a begun rest.
  OutletState write_one(std::string_view bytes);
  // The stream has answered whole; its exchange is gone.
  void finished();
  // Also if it is watched already.
  void watch_deadline() {
    if (!std::exchange(timed_, true)) owner_.timed_.push_back(this);
  }
  void want_turn_end() { owner_.turn_end_.push_back(this); }
  // REQUIRES: it does not wait for one already.
  void want_turn() { owner_.go_on_later(*this); }

 private:
  friend class Streams;

  bool timed_ = false;  // the owner watches its deadline
  Streams& owner_;
  net::Exchange* exchange_;
  SeatPlaces seat_;
  SessionId session_ = no_session;
  static constexpr SessionId no_session = ~SessionId{0};
};

}  // namespace belfry
