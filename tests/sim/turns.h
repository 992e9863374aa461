#pragma once
// What a shard does in one turn, as its clients hear it: those that are live come before those that are
// behind, of those that are behind so many are served as the budget has room for, users take turns by what
// they were given, whatever a crowd asks for, and of one user's clients none is passed by another.

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
  static constexpr std::size_t slice_work = 50;
  // Each costs limits::pump_work or more, and the last one may be begun with one left.
  static constexpr std::size_t served_max = 1 + (turn_work - 1) / (limits::pump_work + 1);
  static constexpr std::uint64_t users = 3;
  // And so much at most, with what the last row of a slice costs.
  static constexpr std::size_t cost_max = limits::pump_work + (1 + limits::entry_work) * slice_work + 20;
  // Of turns of its shard in which somebody of a user could have been served, and nobody was. Between two of
  // its turns each other user is given no more than the user was by the first, and one turn (Goyal, Vin,
  // Cheng 1996, theorem 1); and one turn of the shard may be begun.
  int wait_max() const {
    const std::uint64_t others = users - 1 + crowd_;
    return static_cast<int>(1 + (others * 2 * cost_max + turn_work - 1) / turn_work);
  }
  // How often another one of its user is served while a client waits: who came before it.
  static constexpr int passes_max = 1;

  // The client's session begins. It is one of the user's from now on.
  void join(int client, std::uint64_t user);
  // A crowd of so many users takes turns with them from now on.
  void gather(std::uint64_t crowd);
  // Those clients are live now.
  void begin(std::set<int> live);
  // The client heard something of its shard: an event, or anything else. A member of a crowd has number -1
  // and downwards.
  void wrote(int client) { live_.contains(client) ? told(client) : served(client); }
  void served(int client);
  // The turn is over. `behind`: clients of the shard that are behind and could go on. `overrun`: those that
  // were live may have fallen behind. Empty, or the sentence that does not hold.
  std::string end(const std::set<int>& behind, bool overrun);

 private:
  std::string wait(const std::set<int>& behind);
  void told(int client) { late_ |= !served_.empty() && told_.insert(client).second; }

  std::uint64_t crowd_ = 0;  // users of the last one
  bool running_ = false;
  bool late_ = false;  // a live one heard its event after one that is behind
  std::set<int> live_, told_, served_;
  std::map<int, std::uint64_t> user_of_;
  std::map<std::uint64_t, int> waits_;        // by user
  std::map<int, std::map<int, int>> passed_;  // by the client that waits: how often by whom
};

}  // namespace belfry::sim
