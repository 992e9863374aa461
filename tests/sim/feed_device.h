#pragma once
// A device of the simulator: it loads a page of its user's feed and goes on from the page's cursor with
// what the stream tells, as an SDK does. And the feed as it should be, worked out from the log alone.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "feed/feed.h"
#include "hub/hub.h"

namespace belfry::sim {

// The simulator's own way to write what Belfry's events say.
OwnEventData plain_data();
std::optional<FeedChange> plain_feed_change(const Event& event);

struct PlainMark {
  Mark mark = Mark::read;
  std::vector<Offset> ids;
  Offset upto = 0;
  FeedCounts counts;
};
PlainMark parse_plain_mark(const std::string& data);

// A feed as a list of items; grows by events, one after the other.
class FeedReplica {
 public:
  explicit FeedReplica(std::string user) : user_(std::move(user)), own_(user_topic(user_)) {}

  // An event of the log. `knows_follows`: only what is followed is taken; a device is given nothing else.
  void take(const Event& event, bool knows_follows);
  // A page is what was there at its cursor.
  void load(const FeedAnswer& page);

  const std::map<Offset, FeedItem>& items() const { return items_; }
  // Forgets what is no longer there.
  void prune(const std::function<bool(Offset)>& there);
  FeedCounts counts(Timestamp now) const;
  const std::set<std::string>& follows() const { return follows_; }
  // It was muted when it came, or later: a device may not have been told of it.
  bool was_muted(Offset offset) const { return muted_.contains(offset); }

 private:
  void mark(const PlainMark& mark);
  void note_muted();

  const std::string user_;
  const std::string own_;
  std::map<Offset, FeedItem> items_;
  std::set<std::string> follows_;
  std::set<Offset> muted_;
  Mutes mutes_;
};

class Device final : public Outlet {
 public:
  using Violation = std::function<void(const std::string&)>;

  Device(int number, std::string name, Violation violation)
      : user(std::move(name)), replica(user), number_(number), violation_(std::move(violation)) {}

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset&) override {
    if (stutter() == OutletState::blocked && stutters % 2 == 0) return {0, OutletState::blocked};
    lost = true;
    return {1, blocked ? OutletState::blocked : OutletState::open};
  }
  OutletState caught_up(Offset to) override {
    position = to;
    return stutter();
  }
  OutletState heartbeat(Offset to, std::uint64_t) override {
    position = to;
    return stutter();
  }
  void end(Code) override { session.reset(); }

  const std::string user;
  FeedReplica replica;
  Offset position = 0;
  Offset loaded_at = 0;  // of the page that it began with
  std::optional<SessionId> session;
  std::size_t room = 100;
  bool blocked = false;
  bool stuttering = false;  // one of three heartbeats, resets and ends of catching up finds no room
  std::size_t stutters = 0;
  bool lost = false;  // a reset was told: the feed is loaded again

 private:
  OutletState stutter() {
    blocked = stuttering && ++stutters % 3 == 0;
    return blocked ? OutletState::blocked : OutletState::open;
  }

  const int number_;
  const Violation violation_;
};

}  // namespace belfry::sim
