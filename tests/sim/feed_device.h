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

 private:
  void mark(const PlainMark& mark);

  const std::string user_;
  const std::string own_;
  std::map<Offset, FeedItem> items_;
  std::set<std::string> follows_;
  Mutes mutes_;
};

class Device final : public Outlet {
 public:
  using Violation = std::function<void(const std::string&)>;

  Device(int number, std::string name, Violation violation)
      : user(std::move(name)), replica(user), number_(number), violation_(std::move(violation)) {}

  Written write(std::span<const Entry* const> entries, Offset position) override;
  Written reset(const Reset&) override {
    lost = true;
    return {1, OutletState::open};
  }
  OutletState caught_up(Offset to) override {
    position = to;
    return OutletState::open;
  }
  OutletState heartbeat(Offset to, std::uint64_t) override {
    position = to;
    return OutletState::open;
  }
  void end(Code) override { session.reset(); }

  const std::string user;
  FeedReplica replica;
  Offset position = 0;
  std::optional<SessionId> session;
  std::size_t room = 100;
  bool blocked = false;
  bool lost = false;  // a reset was told: the feed is loaded again

 private:
  const int number_;
  const Violation violation_;
};

}  // namespace belfry::sim
