#pragma once
// The threads of a server and what passes between them. Each owns its objects; they speak by mailboxes, by
// the tail, and by functions posted to a shard's loop.

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "api/api.h"
#include "delivery/delivery.h"
#include "feed/feed.h"
#include "hub/hub.h"
#include "log/log.h"
#include "net/net.h"
#include "store/store.h"

namespace belfry {

struct RetentionSettings {
  std::optional<Duration> longest;  // of the whole log
  std::vector<RetentionRule> rules;
};

struct PublishJob {
  PublishRequest request;
  std::size_t shard = 0;  // who asked; one more than there are: a source
  std::uint64_t ticket = 0;
};

// Takes a request to the log-writer, in the turn of its principal. False: no room for that one.
bool push_publish(FairMailbox<PublishJob>& mailbox, PublishRequest&& request, std::size_t shard,
                  std::uint64_t ticket);

// What a store-reader is asked: a page for a session, or a feed for a user.
struct ReadJob {
  std::size_t shard = 0;
  std::variant<PageQuestion, FeedJob> question;
  std::uint64_t ticket = 0;  // of a FeedJob
};

struct PublishedTicket {
  std::uint64_t ticket;
  PublishOutcome outcome;
};

// log-writer: the one thread that commits. Takes what queued during the last commit, each owner in turn,
// as far as a group has room; between two groups, one slice of housekeeping while there is some to do.
class LogWriter {
 public:
  struct Callbacks {
    std::function<void()> wake_shards;  // the tail has grown
    std::function<void(std::size_t shard, std::vector<PublishedTicket>)>
        answer;  // any thread may be called from
    // Also of a revocation that could not be stored: it counts from now on, and is to be asked for again.
    std::function<void(const Revocation&)> revoked;
    std::function<void(const std::string& user)> erased;
    std::function<void(const Error&)> failed;  // the store is gone: stop the process
  };

  LogWriter(Log& log, FairMailbox<PublishJob>& mailbox, const Clock& clock, Metrics& metrics,
            std::size_t shards, Callbacks callbacks);
  // Closes the mailbox, commits what waits, and ends the thread.
  ~LogWriter();
  // Any thread: at its next look around, within a second.
  void set_retention(RetentionSettings settings);

 private:
  struct Asked {
    std::size_t shard;
    std::uint64_t ticket;
    std::optional<Revocation> revocation{};
    std::string erased{};  // the user
  };
  void run();
  void commit();
  std::vector<Asked> fill_group(std::size_t& events);
  bool prepare_erasure(FairMailbox<PublishJob>::Popped& popped);
  void answer(std::span<const Asked> asked, std::vector<PublishOutcome> outcomes);
  void begin_housekeeping();
  void report();
  bool housekeep();

  Log& log_;
  FairMailbox<PublishJob>& mailbox_;
  const Clock& clock_;
  SettledClock settled_;
  prometheus::Counter& commits_;
  prometheus::Counter& events_;
  prometheus::Counter& refused_due_;
  prometheus::Counter& time_steps_;
  prometheus::Gauge& ahead_;
  struct Told {
    std::uint64_t refused_due = 0, time_steps = 0;
    double ahead = 0;
  } told_;  // to /metrics
  const std::size_t shards_;
  const Callbacks callbacks_;
  bool failure_told_ = false;
  std::mutex mutex_;
  std::optional<RetentionSettings> retention_;  // new, not taken up yet; under the mutex
  std::thread thread_;
};

// store-reader-0 …: answer sessions that fell out of the tail.
class StoreReaders {
 public:
  struct Callbacks {  // any thread may be called from
    std::function<void(std::size_t shard, PageAnswer)> page;
    std::function<void(std::size_t shard, std::uint64_t ticket, Result<FeedReply>)> feed;
  };

  StoreReaders(std::vector<std::unique_ptr<StoreReader>> readers, FairMailbox<ReadJob>& mailbox,
               const Tail& tail, const Clock& clock, Metrics& metrics, Callbacks callbacks);
  ~StoreReaders();

 private:
  void run(StoreReader& reader);
  // `cost`: in rows looked at.
  Result<FeedReply> read_feed_of(StoreReader& reader, const FeedJob& job, std::uint64_t& cost);

  std::vector<std::unique_ptr<StoreReader>> readers_;
  FairMailbox<ReadJob>& mailbox_;
  const Tail& tail_;
  const Clock& clock_;
  prometheus::Counter& rows_read_;
  const Callbacks callbacks_;
  std::vector<std::thread> threads_;
};

struct ShardSetup {
  std::size_t index = 0;
  net::HttpServerOptions http;
  ApiOptions api;
  const Keyring& keyring;
  TicketBook& tickets;
  const Log& log;
  const Clock& clock;
  Metrics& metrics;
  FairMailbox<PublishJob>& publishes;
  FairMailbox<ReadJob>& reads;
  const std::atomic<bool>& ready;
  Admission& admission;
  SourcePort& sources;
  Duration heartbeat;
  // Calls the function with the shard, on every shard's thread.
  std::function<void(std::function<void(Shard& shard, std::size_t index)>)> on_all_shards;
};

// shard-i: a loop with its listening socket, its connections, its sessions.
class ShardThread final : public Gatekeeper, public FeedPort, public PageSource, public PresencePort {
 public:
  static Result<std::unique_ptr<ShardThread>> start(ShardSetup setup);
  ~ShardThread() override;

  std::uint16_t port() const { return server_->port(); }
  // Any thread.
  void wake();
  void answer_publishes(std::vector<PublishedTicket> answers);
  void answer_page(PageAnswer answer);
  void answer_feed(std::uint64_t ticket, Result<FeedReply> reply);
  void revoke(const Revocation& revocation);
  void end_keys(std::vector<std::uint64_t> keys);
  void post(std::function<void(Shard& shard, std::size_t index)> function);
  // No new connections; streams are ended with shutting_down, evenly over `window`.
  void drain(Duration window);
  // For connections and requests from now on; without `tls` that of before stays. Counts `taken` down when
  // the loop has them.
  void take_up(net::TlsContext tls, std::vector<std::string> origins, std::latch& taken);
  // Whether connections are accepted; and, at the worst, streams that hold back anything are ended.
  void set_load(Load load);
  // How late the loop was at most since the last call.
  Duration take_lag() { return Duration{lag_ms_.exchange(0, std::memory_order_relaxed)}; }
  std::size_t sessions() const { return sessions_.load(std::memory_order_relaxed); }
  void stop();

  Result<Principal> authenticate(std::string_view token) override;
  Result<void> check(const Principal& principal) override;
  bool ask_feed(FeedJob job, std::uint64_t ticket) override;
  void renew_ticket(std::uint64_t ticket, const Principal& principal) override;
  void end_ticket_elsewhere(std::uint64_t ticket) override;
  // What a renewal does on each shard: the stream of the ticket goes on, or ends.
  static void renew_if_it_stands(Shard& shard, const Keyring& keyring, Timestamp now, std::uint64_t ticket,
                                 const Principal& principal);
  void joined(const std::string& topic, const std::string& user) override;
  void left(const std::string& topic, const std::string& user) override;
  bool ask(PageQuestion question) override;

 private:
  explicit ShardThread(ShardSetup setup);
  void turn();
  bool wait_for_more();
  void tick();
  void drain_some();
  void report();
  void tell_presence();
  void on_presence_outcome(const PublishOutcome& outcome);

  // Hears how a presence command went.
  struct PresenceAnswers final : OutcomeReceiver {
    explicit PresenceAnswers(ShardThread& owner) : shard(owner) {}
    void on_outcome(std::uint64_t, PublishOutcome outcome) override { shard.on_presence_outcome(outcome); }
    ShardThread& shard;
  };

  struct Counters;
  const ShardSetup setup_;
  std::atomic<bool> turn_posted_{false};
  std::atomic<Duration::rep> lag_ms_{0};
  std::atomic<std::size_t> sessions_{0};
  Instant ticked_;
  Instant drain_until_;
  PresenceWords presence_;
  PresenceAnswers presence_answers_{*this};
  std::optional<std::vector<PresenceWord>> presence_told_;  // not answered yet
  Instant presence_renewed_;
  bool held_back_ = false;                  // the last wake-up was left to the next one
  bool backlog_ = false;                    // the last turn left something over
  bool waiting_ = false;                    // for what else comes before the next turn
  Instant turned_;                          // when the last turn ended
  std::chrono::microseconds turn_took_{0};  // of the clock's milliseconds
  net::Loop loop_;
  Shard shard_;
  Desk desk_;
  Streams streams_;
  Api api_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<Counters> counters_;
  std::thread thread_;
};

}  // namespace belfry
