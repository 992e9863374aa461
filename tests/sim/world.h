#pragma once
// The server's own model, store, log and hub in one thread with a made-up world: a disk that fails, fills
// up and is restored from old copies, an index that lags, pages that come late, shards that fall asleep, a
// clock that jumps, floods of events, crowds, tokens that are revoked, and clients that are slow, stutter,
// hang, vanish and return. Everything follows from one seed.

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client.h"
#include "crowd.h"
#include "feed/feed.h"
#include "hub/hub.h"
#include "log/log.h"
#include "stood.h"
#include "store/memory_store.h"
#include "truth.h"
#include "turns.h"
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
  std::uint64_t revoked = 0;    // sessions that were ended by a revocation
  std::uint64_t jumps = 0;      // of the clock
  std::uint64_t crowds = 0;
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
  struct Lot {  // of publish requests
    std::vector<PublishRequest> requests;
    std::vector<std::vector<std::string>> values;
    std::vector<std::string> keys;
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
  Lot draw_requests(std::size_t count);
  void publish_group();
  void publish_flood();
  void check_outcomes(const Lot& lot, std::size_t first, const std::vector<PublishOutcome>& outcomes);
  void check_acknowledged();
  void take_backup();
  void restore_backup();
  void retain();
  Duration age();
  void let_months_pass();
  // One slice of housekeeping; what it may take is what retention lets go. False: nothing is left to do.
  bool maintain();
  void check_gone();
  bool may_be_gone(const Fact& fact) const;
  void leave_nothing_new();
  void grow_old();
  void jump();
  void set_clock(Duration by);
  void revoke();
  void renew(Client& client);
  void crowd();
  void besiege();
  static Credential credential(const Client& client);
  void turn(int shard);
  std::set<int> live(int shard) const;
  std::set<int> behind(int shard) const;
  std::map<int, Offset> positions(int shard) const;
  Client* client_of(SessionId id, int shard) const;
  TurnWatch& watch_of(int client);
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
  static constexpr int shards_max = 2;
  std::array<TurnWatch, shards_max> watches_;
  Crowd crowd_;                // on the first shard
  std::set<int> refused_;      // clients whose page was refused or failed, until the next tick
  std::deque<std::size_t> published_;  // events between the newest slices of housekeeping
  Offset maintained_at_ = 0;
  std::optional<Duration> retention_;  // as it was set last
  std::vector<RetentionRule> rules_;
  SettledClock settled_;               // of this process
  Stood stood_;                        // the same, by what is promised of it
  Stood::Times goes_by_{};             // by what times something may go now
  bool brief_ = false;       // whatever is published now expires soon
  Duration off_{0};          // how far the clock is ahead of the time that is true
  Duration off_of_keys_{0};  // how far it went since keys were let go
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
