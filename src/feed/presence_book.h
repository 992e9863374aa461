#pragma once
// Who is attached to the topics that keep presence. In memory: a crash leaves no ghosts, because whoever is
// there attaches again. Shards hold their entries by leases, so one that is gone takes its people with it.
//
// Owner: Planner. Thread: the log-writer. Bound: one entry for each topic and user attached; of each user,
// for those whose grace is not over, limits::presence_leaving_max or as many as were attached at once. A
// call costs what it changes (a lease that ends: all entries, once).
// Always: a join is told once until the leave is told; who comes back within limits::presence_grace never
// left.

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "log/log.h"

namespace belfry {

struct PresenceChange {
  std::string topic;
  std::string user;
  bool joined = false;
};

class PresenceBook {
 public:
  // The holder lives. False if its lease had ended: it must say again who is there.
  bool renew(std::uint64_t holder, Timestamp now);
  // At least one session of the holder is on the topic for the user; or none is any more. Whoever comes and
  // goes faster than leaves are told has less grace: beyond the bound each join ends the oldest.
  void join(const std::string& topic, const std::string& user, std::uint64_t holder, Timestamp now,
            std::vector<PresenceChange>& changes);
  void leave(const std::string& topic, const std::string& user, std::uint64_t holder, Timestamp now);
  // Those whose grace or lease is over leave; at most limits::presence_leaves_max, users taking turns, the
  // others next time.
  void sweep(Timestamp now, std::vector<PresenceChange>& changes);
  std::vector<Present> list(const std::string& topic) const;

 private:
  struct Entry {
    Timestamp since;
    Timestamp gone_at;               // when `held` is empty: then it leaves
    std::set<std::uint64_t> held{};  // by these holders
  };
  struct Leaving {
    Timestamp at;
    std::string topic;
  };
  using Leavings = std::map<std::string, std::deque<Leaving>>;
  // The clock was put back: what is about to end does not wait until it is as late as it was.
  void begin_anew(Timestamp now);
  void let_go(const std::string& topic, const std::string& user, Entry& entry, std::uint64_t holder,
              Timestamp now);
  std::deque<Leavings::iterator> due(Timestamp now);
  // Null: the user is not on the topic.
  Entry* find(const std::string& topic, const std::string& user);
  void end_oldest(const std::string& user, std::vector<PresenceChange>& changes);
  // False: the user came back, or left again later.
  bool take_out(const std::string& user, const Leaving& leaving);

  std::map<std::string, std::map<std::string, Entry>> topics_;
  std::map<std::uint64_t, Timestamp> leases_;  // until when, by holder
  Timestamp swept_{};  // the time of the last sweep
  Leavings leaving_;      // by user, each in the order of its times; some came back meanwhile
  std::string told_last_;  // the user whose leave was told last
};

}  // namespace belfry
