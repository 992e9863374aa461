#pragma once
// What a session needs from a transport. Implemented in delivery (SSE, WebSocket, HTTP stream, poll) and by
// the simulator's clients.
//
// Owner:  the transport's connection; it outlives the session or detaches it first. Thread: the shard's.
// Always: an outlet never calls back into the shard from one of these functions; it answers by the value it
// returns,
//         and later by Shard::writable or Shard::detach.

#include <cstdint>
#include <span>

#include "log/log.h"

namespace belfry {

struct Reset {
  ResetReason reason;
  Offset position;  // where the stream goes on
  Offset beyond;    // where whoever loads the state and comes again goes on: not below what was lost
};

enum class OutletState {
  open,     // there was room; more may be written in this turn
  blocked,  // no room until Shard::writable
  done,     // the session has had all it wants (a poll that is answered); the shard forgets it
};

struct Written {
  std::size_t taken =
      0;  // leading entries that will reach the client whole; the rest is offered again later
  OutletState state = OutletState::open;
};

class Outlet {
 public:
  virtual ~Outlet() = default;

  // A write follows shortly: what it will touch may be fetched into the cache. Must not read memory that
  // may not be there yet: the outlet's own is.
  virtual void fetch() const {}
  // Offers entries in order, at most limits::write_events_max. `position` is the session's once all are
  // taken.
  virtual Written write(std::span<const Entry* const> entries, Offset position) = 0;
  // The session cannot be given what follows its cursor. Not taken: it is told again when there is room, and
  // before anything else.
  virtual Written reset(const Reset& reset) = 0;
  // The session stands at the shard's head and nothing is left to write.
  virtual OutletState caught_up(Offset position) = 0;
  // Every ShardOptions::heartbeat, unless blocked: the position, and how many events were written so
  // far.
  virtual OutletState heartbeat(Offset position, std::uint64_t written) = 0;
  // The shard ends the session: token expired, or the server stops. No call follows.
  virtual void end(Code code) = 0;
};

}  // namespace belfry
