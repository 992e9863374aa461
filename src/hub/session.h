#pragma once
// A session is one client's place in the log: a position, what it asks for, and an outlet.
//
// Owner:  Shard. Thread: the shard's. Bound: no queue; the links to pending entries live for one turn.
// Always: while `live` it has no position of its own: it stands at the shard's head. In every other state
// `position`
//         says up to where everything it asked for has been taken by its outlet.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hub/outlet.h"

namespace belfry {

struct Group;
struct Session;

// A session's place in the list of a group's members, so that leaving is constant time.
struct Membership {
  Group* group;
  std::uint32_t index;
};

enum class SessionState : std::uint8_t {
  free,      // the slot is not in use
  live,      // stands at the shard's head; is written to as events come
  ready,     // behind, and can be pumped
  blocked,   // behind, waits for Shard::writable
  waiting,   // behind, waits for a page of the store
  retrying,  // behind, and the store could not be asked; tried again at the next tick
};

inline constexpr std::uint32_t no_pending = 0xffffffff;

// A session that gets its user's feed: the follows as of its position, kept up by the follow events it
// meets on the way.
struct FeedPart {
  std::string user;
  std::string own_topic;
  std::vector<std::string> types;  // wanted of the feed; empty: all
  Mutes mutes;
  bool follows_known = false;
  Offset follows_at = 0;  // ask for the follows as of here, not of the position, which lies below a floor
};

// Who appears through this session, and on which topics.
struct PresencePart {
  std::string user;
  std::vector<std::string> topics;
};

// What a delivery touches stands together at the front, in one cache line.
struct alignas(limits::cache_line_bytes) Session {
  Outlet* outlet = nullptr;
  std::uint64_t newest_delivery = 0;  // an event that two of its selectors accept is written once
  std::uint64_t written = 0;          // events taken by the outlet
  std::uint32_t first_pending = no_pending;
  std::uint32_t last_pending = no_pending;
  SessionState state = SessionState::free;
  bool queued : 1 = false;  // among those to be pumped
  bool from_earliest : 1 = false;
  bool asked : 1 = false;   // the answer to a question is on its way; there is one at most
  // It began at the earliest: what was lost before losses_known is no news, untold.
  bool forgiven : 1 = false;
  bool has_feed = false;  // `feed` is set
  std::uint32_t slot = 0;
  std::uint32_t slot_generation = 0;
  std::uint32_t question = 0;  // number of the page that it asked for last
  Offset position = 0;
  Offset floor_known = 0;          // floors up to here are no news to the client
  std::uint64_t losses_known = 0;  // as Tail::losses counts; losses up to here are no news to the client
  std::uint64_t losses_asked = 0;  // the count when its last page was asked for
  std::vector<Membership> memberships;
  std::optional<ResetReason> reset;
  std::unique_ptr<FeedPart> feed;
  std::unique_ptr<PresencePart> presence;

  std::uint64_t id() const { return std::uint64_t{slot_generation} << 32 | slot; }
};
static_assert(sizeof(Session) == 2 * limits::cache_line_bytes, "an idle session costs two lines");

}  // namespace belfry
