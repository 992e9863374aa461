#pragma once
// Feeds in a made-up world: users with two devices each, marks at the same time, follows while a broadcast
// is on its way, mutes, retractions, schedules, expiry, retention, crashes. The feed that the store's
// arithmetic gives is compared with one that is worked out from the log alone, and with what the devices
// made of their streams. Everything follows from one seed.

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "feed_device.h"
#include "log/log.h"
#include "store/memory_store.h"
#include "world.h"

namespace belfry::sim {

class FeedWorld final : public PageSource {
 public:
  FeedWorld(std::uint64_t seed, Faults faults);
  ~FeedWorld() override { shard_.reset(); }

  Outcome play(int steps);
  bool ask(PageQuestion question) override;

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool chance(int percent) { return pick(100) < static_cast<std::uint64_t>(percent); }
  std::string user() { return "u" + std::to_string(pick(2)); }
  std::string topic() { return "t" + std::to_string(pick(3)); }
  void violation(const std::string& what);

  void start();
  void crash();
  void step();
  PublishRequest draw_notification();
  PublishRequest draw_command();
  Cursor draw_id();
  void publish_group();
  bool erase_some(EraseCommand& erasure);
  void erase_again(const std::string& user);
  void observe();
  void maintain();
  void let_months_pass();
  // The state as it is now. False: it could not be read.
  bool load(Device& device);
  void connect(Device& device);
  void disturb(Device& device);
  void answer_page();
  void check_feeds();
  void check_devices();
  void compare(const std::string& user, const FeedReplica& expected, const FeedAnswer& page);
  bool there(Offset offset) const { return disk_.log.contains(offset); }

  std::mt19937_64 random_;
  const Faults faults_;
  ManualClock clock_;
  MemoryDisk disk_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreReader> reader_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Planner> planner_;
  std::unique_ptr<Shard> shard_;
  std::deque<PageQuestion> pages_;
  std::map<std::string, FeedReplica> expected_;  // by user; replayed from the log
  Offset observed_ = 0;
  std::vector<std::unique_ptr<Device>> devices_;
  std::uint64_t next_epoch_ = 1;
  int step_ = 0;
  Outcome outcome_;
};

Outcome play_feed(std::uint64_t seed, int steps, Faults faults = {});

}  // namespace belfry::sim
