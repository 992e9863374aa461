#pragma once
// What a shard is made of. Private to hub.cc and catch_up.cc.

#include <deque>
#include <utility>
#include <vector>

#include "hub/hub.h"
#include "hub/session.h"
#include "hub/tail_view.h"
#include "hub/topic_index.h"

namespace belfry {

struct Shard::Parts {
  // Milliseconds, side by side: the tick looks at all of them four times a second.
  struct Deadline {
    std::int64_t expires = 0;
    std::int64_t heartbeat = 0;
  };
  // What a session gets in this turn, as a list through one reused vector.
  struct Pending {
    const Entry* entry;
    std::uint32_t next;
  };

  TopicIndex index;
  TailView view;
  std::uint64_t version = 0;            // of the tail, as last seen
  Tail::News news;                      // seen, and not all taken yet: from here on
  std::size_t news_batch = 0;
  std::size_t news_entry = 0;
  std::deque<Session> sessions;         // by slot; addresses stay
  std::vector<Deadline> deadlines;      // by slot
  std::vector<Credential> credentials;  // by slot
  std::vector<std::uint64_t> tickets;   // by slot, up to the last one that had any; 0: none
  std::vector<std::uint32_t> free_slots;
  // Sessions to pump; each is here at most once while it lives, in the lane of its user.
  FairQueue<SessionId> ready{~std::size_t{0} / 2};
  bool pumping = false;          // who becomes ready now waits for the next turn:
  std::vector<SessionId> later;  // here
  std::vector<SessionId> retrying;  // sessions the store could not be asked for

  // Of one turn.
  Offset turn_base = 0;        // the head when it began
  bool single = false;         // it brings one event only
  std::size_t work = 0;        // as limits::turn_work_max counts
  std::uint64_t delivery = 0;  // counts entries, to know one that a session got already
  std::vector<std::pair<SessionId, OutletState>> stopped;  // blocked or done while a group was walked
  std::vector<Pending> pending;
  std::vector<Session*> touched;
  TopicIndex::Patterns patterns;
  std::vector<Group*> found;
  TailView::Slice slice;
};

}  // namespace belfry
