#pragma once
// The server's own model, store, log and hub in one thread with a made-up world: a disk that fails, fills
// up and is restored from old copies, pages that come late, shards that fall asleep, clients that stall,
// vanish and return. Everything follows from one seed.

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client.h"
#include "feed/feed.h"
#include "hub/hub.h"
#include "log/log.h"
#include "store/memory_store.h"
#include "truth.h"
#include "wire/wire.h"

namespace belfry::sim {

struct Faults {
  Planted hub{};
  LogPlanted log{};
  FeedPlanted feed{};
  MemoryDisk::Planted store{};
};

struct Outcome {
  std::vector<std::string> violations;  // each begins with the step at which it was seen
  std::uint64_t trace = 0;              // hash of all that happened; the same seed gives the same
  std::uint64_t deliveries = 0;
  std::uint64_t resets = 0;
  std::uint64_t crashes = 0;
  std::uint64_t forgotten = 0;  // how often topics were forgotten that retention took something of
};

class World final : public PageSource {
 public:
  World(std::uint64_t seed, Faults faults);
  ~World() override;

  Outcome play(int steps);
  // Every step as a line, for a person who looks at one seed.
  std::vector<std::string> story;
  bool tell_story = false;

  bool ask(PageQuestion question) override;

 private:
  struct Waiting {
    int shard;
    PageQuestion question;
  };

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool chance(int percent) { return pick(100) < static_cast<std::uint64_t>(percent); }
  void note(const std::string& what);
  void violation(const std::string& what);

  void start();
  void crash(std::string_view why);
  void step();
  std::string topic();
  Event make_event();
  void publish_group();
  void check_acknowledged();
  void take_backup();
  void restore_backup();
  void retain();
  void let_months_pass();
  void turn(int shard);
  void answer_page();
  void pass_time();
  void connect(Client& client);
  void change_subscription(Client& client);
  void disturb(Client& client);
  void finish();
  std::vector<Selector> draw_selectors();

  std::mt19937_64 random_;
  const Faults faults_;
  ManualClock clock_;
  MemoryDisk disk_;
  std::optional<MemoryDisk> backup_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreReader> reader_;
  std::unique_ptr<Log> log_;
  std::vector<std::unique_ptr<Shard>> shards_;
  int asking_ = 0;  // the shard whose call is on the stack
  std::deque<Waiting> pages_;
  Truth truth_;
  Acknowledgements acknowledged_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::uint64_t next_value_ = 0, next_key_ = 0, next_epoch_ = 1;
  std::map<std::string, std::vector<Event>> keyed_;  // what each idempotency key was first sent with
  int step_ = 0;
  Outcome outcome_;
};

Outcome play(std::uint64_t seed, int steps, Faults faults = {});

}  // namespace belfry::sim
