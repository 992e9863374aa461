#pragma once
// Slow clients, many of one user or one each of some users: each takes an event, and then none for a while.
// They are there to be in the way of others.

#include <memory>
#include <vector>

#include "hub/hub.h"

namespace belfry::sim {

class Crowd {
 public:
  using Heard = std::function<void(int)>;
  explicit Crowd(Heard heard) : heard_(std::move(heard)) {}

  // They begin at the earliest event. REQUIRES: nobody is there; users <= members.
  void gather(Shard& shard, std::size_t members, std::uint64_t users, Instant now);
  // Each has room again.
  void read_on(Shard& shard);
  void scatter(Shard& shard);
  // The shard is gone.
  void forget() { members_.clear(); }
  bool empty() const { return members_.empty(); }

 private:
  static constexpr std::uint64_t first_user = 77;

  struct Member final : Outlet {
    Written write(std::span<const Entry* const> entries, Offset) override {
      crowd->heard_(number);
      return {std::min<std::size_t>(entries.size(), 1), OutletState::blocked};
    }
    Written reset(const Reset&) override {
      crowd->heard_(number);
      return {1, OutletState::blocked};
    }
    OutletState caught_up(Offset) override {
      crowd->heard_(number);
      return OutletState::blocked;
    }
    OutletState heartbeat(Offset, std::uint64_t) override { return OutletState::open; }
    void end(Code) override { session = 0; }

    Crowd* crowd = nullptr;
    int number = 0;
    SessionId session = 0;
  };

  const Heard heard_;
  std::vector<std::unique_ptr<Member>> members_;
};

inline void Crowd::gather(Shard& shard, std::size_t members, std::uint64_t users, Instant now) {
  for (std::size_t i = 0; i < members; ++i) {
    auto& member = *members_.emplace_back(std::make_unique<Member>());
    member.crowd = this;
    member.number = -1 - static_cast<int>(i);
    Attach attach;
    attach.selectors = {{"#", {}}};
    attach.from_earliest = true;
    attach.credential.user = first_user + i % users;
    member.session = shard.attach(member, std::move(attach), now);
  }
}

inline void Crowd::read_on(Shard& shard) {
  for (const auto& member : members_) shard.writable(member->session);
}

inline void Crowd::scatter(Shard& shard) {
  for (const auto& member : members_) shard.detach(member->session);
  members_.clear();
}

}  // namespace belfry::sim
