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

void TurnWatch::join(int client, std::uint64_t user) {
  user_of_[client] = user;
  passed_.erase(client);
  for (auto& [waiting, by] : passed_) by.erase(client);
}

void TurnWatch::gather(std::uint64_t crowd) {
  crowd_ = crowd;
  waits_.clear();
}

std::string TurnWatch::end(const std::set<int>& behind, bool overrun) {
  running_ = false;
  if (late_ && !overrun) return "live_before_behind: a live client came after one that is behind";
  if (served_.size() > served_max)
    return "a_turn_is_bounded: " + std::to_string(served_.size()) + " were served";
  return wait(behind);
}

std::string TurnWatch::wait(const std::set<int>& behind) {
  std::set<std::uint64_t> served, waiting;
  for (const int client : served_)
    if (client >= 0) served.insert(user_of_.at(client));
  std::erase_if(passed_, [&](const auto& each) {
    return served_.contains(each.first) || !behind.contains(each.first);
  });
  for (const int client : behind) {
    if (served_.contains(client)) continue;
    const std::uint64_t user = user_of_.at(client);
    if (!served.contains(user)) waiting.insert(user);
    for (const int other : served_)
      if (other >= 0 && user_of_.at(other) == user && ++passed_[client][other] > passes_max)
        return "nobody_is_passed: client " + std::to_string(client) + " by " + std::to_string(other);
  }
  std::erase_if(waits_, [&](const auto& each) { return !waiting.contains(each.first); });
  for (const std::uint64_t user : waiting)
    if (++waits_[user] > wait_max()) return "nobody_is_held_up: user " + std::to_string(user) + " waits";
  return {};
}

}  // namespace belfry::sim
