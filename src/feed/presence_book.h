#pragma once
// Who is attached to the topics that keep presence. In memory: a crash leaves no ghosts, because whoever is
// there attaches again. Shards hold their entries by leases, so one that is gone takes its people with it.
//
// Owner: Planner. Thread: the log-writer. Bound: one entry for each topic and user attached.
// Always: a join is told once until the leave is told; who comes back within limits::presence_grace never
// left.

#include <map>
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
  void join(const std::string& topic, const std::string& user, std::uint64_t holder, Timestamp now,
            std::vector<PresenceChange>& changes);
  void leave(const std::string& topic, const std::string& user, std::uint64_t holder, Timestamp now);
  // The holder lives, and these are all of its sessions: what was told before counts no more.
  void renew(std::uint64_t holder, const std::vector<std::pair<std::string, std::string>>& all,
             Timestamp now, std::vector<PresenceChange>& changes);
  // Those whose grace or lease is over leave.
  void sweep(Timestamp now, std::vector<PresenceChange>& changes);
  std::vector<Present> list(const std::string& topic) const;

 private:
  struct Entry {
    Timestamp since;
    Timestamp gone_at;                         // when `held` is empty: then it leaves
    std::map<std::uint64_t, unsigned> held{};  // sessions, by holder
  };
  std::map<std::string, std::map<std::string, Entry>> topics_;
  std::map<std::uint64_t, Timestamp> leases_;  // until when, by holder
};

}  // namespace belfry
