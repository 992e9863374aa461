#pragma once
// The threads of a server and what passes between them. Each owns its objects; they speak by mailboxes, by
// the tail, and by functions posted to a shard's loop.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/api.h"
#include "delivery/delivery.h"
#include "hub/hub.h"
#include "log/log.h"
#include "net/net.h"
#include "store/store.h"

namespace belfry {

struct PublishJob {
  PublishRequest request;
  std::size_t shard = 0;
  std::uint64_t ticket = 0;
};

struct PageJob {
  PageQuestion question;
  std::size_t shard = 0;
};

struct PublishedTicket {
  std::uint64_t ticket;
  PublishOutcome outcome;
};

// log-writer: the one thread that commits. Takes whatever queued during the last commit; no timer.
class LogWriter {
 public:
  struct Callbacks {
    std::function<void()> wake_shards;  // the tail has grown
    std::function<void(std::size_t shard, std::vector<PublishedTicket>)>
        answer;                                // any thread may be called from
    std::function<void(const Error&)> failed;  // the store is gone: stop the process
  };

  LogWriter(Log& log, Mailbox<PublishJob>& mailbox, const Clock& clock, Metrics& metrics,
            std::size_t shards, Callbacks callbacks);
  // Closes the mailbox, commits what waits, and ends the thread.
  ~LogWriter();

 private:
  void run();
  void commit(std::vector<PublishJob>& jobs);
  void maintain();

  Log& log_;
  Mailbox<PublishJob>& mailbox_;
  const Clock& clock_;
  prometheus::Counter& commits_;
  prometheus::Counter& events_;
  const std::size_t shards_;
  const Callbacks callbacks_;
  bool failure_told_ = false;
  std::thread thread_;
};

// store-reader-0 …: answer sessions that fell out of the tail.
class StoreReaders {
 public:
  using Answer = std::function<void(std::size_t shard, PageAnswer)>;

  StoreReaders(std::vector<std::unique_ptr<StoreReader>> readers, Mailbox<PageJob>& mailbox,
               Metrics& metrics, Answer answer);
  ~StoreReaders();

 private:
  void run(StoreReader& reader);

  std::vector<std::unique_ptr<StoreReader>> readers_;
  Mailbox<PageJob>& mailbox_;
  prometheus::Counter& rows_read_;
  const Answer answer_;
  std::vector<std::thread> threads_;
};

struct ShardSetup {
  std::size_t index = 0;
  net::HttpServerOptions http;
  ApiOptions api;
  const Keyring& keyring;
  const Log& log;
  const Clock& clock;
  Metrics& metrics;
  Mailbox<PublishJob>& publishes;
  Mailbox<PageJob>& pages;
  const std::atomic<bool>& ready;
};

// shard-i: a loop with its listening socket, its connections, its sessions.
class ShardThread final : public Gatekeeper, public PublishPort, public PageSource {
 public:
  static Result<std::unique_ptr<ShardThread>> start(ShardSetup setup);
  ~ShardThread() override;

  std::uint16_t port() const { return server_->port(); }
  // Any thread.
  void wake();
  void answer_publishes(std::vector<PublishedTicket> answers);
  void answer_page(PageAnswer answer);
  // No new connections; streams are ended with shutting_down.
  void drain();
  void stop();

  Result<Principal> authenticate(std::string_view token) override;
  bool submit(PublishRequest request, std::uint64_t ticket) override;
  bool ask(PageQuestion question) override;

 private:
  explicit ShardThread(ShardSetup setup);
  void turn();
  void tick();
  void report();

  struct Counters;
  const ShardSetup setup_;
  std::atomic<bool> turn_posted_{false};
  bool held_back_ = false;  // the last wake-up was left to the next one
  net::Loop loop_;
  Shard shard_;
  Streams streams_;
  Api api_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<Counters> counters_;
  std::thread thread_;
};

}  // namespace belfry
