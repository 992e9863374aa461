#pragma once
// A client of the simulator, and the sentences of the contract as functions over what it is told. It
// remembers a position and the serial of the event there, so that it knows a rewound history when it meets
// one.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hub/hub.h"
#include "truth.h"

namespace belfry::sim {

class Client final : public Outlet {
 public:
  using Violation = std::function<void(const std::string&)>;

  // Hears of a call to the outlet: whether it brings events.
  using Heard = std::function<void(bool events)>;

  Client(int number, const Truth& truth, const ManualClock& clock, Violation violation, Heard heard)
      : number_(number),
        truth_(truth),
        clock_(clock),
        violation_(std::move(violation)),
        heard_(std::move(heard)) {}

  // A selector counts for events after `from`.
  struct Wanted {
    Selector selector;
    Offset from = 0;
    Offset excused_upto = 0;         // a reset told that events up to here may be lost
    std::uint64_t excused_looks = 0; // who begins at the earliest does not miss what was gone then
  };

  // The session begins. `epochs`: to write down the cursor's text, as a real client keeps it.
  void begin(SessionId id, const EpochTable* epochs, std::vector<Wanted> wanted, bool from_earliest,
             Timestamp expires);
  void end_session();

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset& reset) override;
  OutletState caught_up(Offset position) override;
  OutletState heartbeat(Offset position, std::uint64_t written) override;
  void end(Code code) override;

  int number() const { return number_; }
  bool connected() const { return session_.has_value(); }
  SessionId session() const { return *session_; }
  bool blocked() const { return blocked_; }
  // It was told that it has caught up, and nothing came between.
  bool live() const { return connected() && live_; }
  void fall_behind() { live_ = false; }
  void begin_turn() { caught_up_in_turn_ = false; }
  bool caught_up_in_turn() const { return caught_up_in_turn_; }
  void renew(Timestamp expires, Timestamp now) {
    expires_ = expires;
    issued = now;
  }
  bool expired() const { return connected() && expires_ <= clock_.wall(); }

  std::string cursor;        // empty: never had one
  Offset position = 0;       // what the cursor means
  std::uint64_t serial = 0;  // of the event at the position, when it was told
  std::size_t room = 100;    // events it takes before it blocks
  // How it reads. Slow: an event or two at a time. Stuttering: one of a few heartbeats, resets and ends of
  // catching up finds no room. Hanging: not at all for a long time. Restless: when blocked it comes anew.
  enum class Temper { prompt, slow, stuttering, hanging, restless } temper = Temper::prompt;
  std::uint64_t user = 0;    // of its token
  Timestamp issued{};        // likewise
  bool must_end = false;     // a revocation concerns it
  std::vector<Wanted> wanted;
  // Not asked for any more: a reset for it may be on its way as long as the session stands at `at`.
  struct Left {
    Selector selector;
    Offset at = 0;
  };
  std::vector<Left> left;
  int shard = 0;

  // A topic that is added. What was told of the others says nothing of what this one has lost.
  void want(const Selector& selector, Offset from) { wanted.push_back({selector, from}); }
  void unblock(std::size_t fresh_room);
  // A rewound or lost place has to be told before anything else.
  bool place_is_void() const { return truth_.head() < position || truth_.serial_at(position) != serial; }

 private:
  void event(const Event& event);
  // no_hidden_gap: everything in (position, upto] that was asked for has come, or is excused.
  void no_hidden_gap(Offset upto, std::string_view when);
  bool asked_for(const Event& event) const;
  bool excused(const Event& event, const Wanted& wish) const;
  void move_to(Offset to);
  void fail(const std::string& what) const {
    violation_("client " + std::to_string(number_) + ": " + what);
  }

  const int number_;
  const Truth& truth_;
  const ManualClock& clock_;
  const Violation violation_;
  const Heard heard_;
  const EpochTable* epochs_ = nullptr;
  std::optional<SessionId> session_;
  Timestamp expires_{Duration::max()};
  std::uint64_t written_ = 0;
  // Whether a heartbeat or a reset finds no room.
  bool stutters() { return temper == Temper::stuttering && ++controls_ % 3 == 0; }

  std::size_t controls_ = 0;
  bool from_earliest_ = false;  // and nothing has come yet
  bool must_reset_ = false;
  bool live_ = false, caught_up_in_turn_ = false;
  bool blocked_ = false;
};

}  // namespace belfry::sim
