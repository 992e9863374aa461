#include "turns.h"

namespace belfry::sim {

void TurnWatch::begin(std::set<int> live) {
  running_ = true;
  late_ = false;
  live_ = std::move(live);
  told_.clear();
  served_.clear();
}

void TurnWatch::served(int client) {
  live_.erase(client);  // it fell behind within the turn
  if (running_) served_.insert(client);
}

std::string TurnWatch::end(const std::set<int>& behind, bool overrun) {
  running_ = false;
  for (const int client : served_) waits_.erase(client);
  for (const int client : told_) waits_.erase(client);
  if (late_ && !overrun) return "live_before_behind: a live client came after one that is behind";
  if (served_.size() > served_max)
    return "a_turn_is_bounded: " + std::to_string(served_.size()) + " were served";
  for (const int client : behind)
    if (!served_.contains(client) && ++waits_[client] > wait_max)
      return "nobody_is_held_up: client " + std::to_string(client) + " waits";
  return {};
}

}  // namespace belfry::sim
