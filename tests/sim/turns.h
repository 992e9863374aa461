#pragma once
// What a shard does in one turn, as its clients hear it: those that are live come before those that are
// behind, of those that are behind so many are served as the budget has room for, and whoever could be
// served is within a few turns, whatever a crowd of others asks for.

#include <map>
#include <set>
#include <string>

#include "hub/hub.h"

namespace belfry::sim {

class TurnWatch {
 public:
  // Small, so that a handful of clients is more than a turn serves.
  static constexpr std::size_t turn_work = 400;
  static constexpr std::size_t turn_news = 12;
  // Each costs limits::pump_work or more, and the last one may be begun with one left.
  static constexpr std::size_t served_max = 1 + (turn_work - 1) / (limits::pump_work + 1);
  // Of turns of its shard in which a client could have been served and was not. As many users as there are
  // clients, and one crowd, take turns.
  static constexpr int wait_max = 6;

  // Those clients are live now.
  void begin(std::set<int> live);
  // The client heard something of its shard: an event, or anything else. A member of a crowd has number -1
  // and downwards.
  void wrote(int client) { live_.contains(client) ? told(client) : served(client); }
  void served(int client);
  // The turn is over. `behind`: clients of the shard that are behind and could go on. `overrun`: those that
  // were live may have fallen behind. Empty, or the sentence that does not hold.
  std::string end(const std::set<int>& behind, bool overrun);
  // It begins anew, or something else than the shard kept it.
  void forget(int client) { waits_.erase(client); }

 private:
  void told(int client) { late_ |= !served_.empty() && told_.insert(client).second; }

  bool running_ = false;
  bool late_ = false;  // a live one heard its event after one that is behind
  std::set<int> live_, told_, served_;
  std::map<int, int> waits_;
};

}  // namespace belfry::sim
