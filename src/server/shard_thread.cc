#include <pthread.h>

#include "server/threads.h"

namespace belfry {
namespace {

constexpr Duration kDrainStep{50};
constexpr Duration kWaitMax{1};
// Two classes of turns at the store-readers: who looks at a feed does not wait behind who catches up.
constexpr std::size_t kFeedsClass = 0;
constexpr std::size_t kPagesClass = 1;

}  // namespace

// What this shard has told /metrics so far; the difference is added once a tick.
struct ShardThread::Counters {
  explicit Counters(Metrics& metrics)
      : deliveries(metrics.counter("belfry_deliveries_total", "Events taken by clients' connections.")),
        writes(metrics.counter("belfry_writes_total", "Writes to clients' connections.")),
        pages(metrics.counter("belfry_pages_total",
                              "Pages asked of the store by sessions that fell behind.")),
        resets(metrics.counter("belfry_resets_total", "Clients told that something was lost.")),
        ephemeral_dropped(metrics.counter("belfry_ephemeral_dropped_total",
                                          "Ephemeral events not given to slow clients.")),
        overruns(metrics.counter("belfry_overruns_total", "Times a shard was overtaken by the tail.")),
        requests(metrics.counter("belfry_requests_total", "HTTP requests.")),
        accepted(metrics.counter("belfry_connections_accepted_total", "Connections accepted.")),
        refused(metrics.counter("belfry_connections_refused_total",
                                "Connections closed at once: too many, or no descriptor left.")),
        bytes(metrics.counter("belfry_sent_bytes_total", "Bytes sent.")),
        sessions(metrics.gauge("belfry_sessions", "Sessions attached.")),
        connections(metrics.gauge("belfry_connections", "Connections open.")) {}

  prometheus::Counter &deliveries, &writes, &pages, &resets, &ephemeral_dropped, &overruns, &requests,
      &accepted, &refused, &bytes;
  prometheus::Gauge &sessions, &connections;
  ShardCounts told;
  net::HttpServerCounts told_http;
  double told_sessions = 0, told_connections = 0;
};

ShardThread::ShardThread(ShardSetup setup)
    : setup_(std::move(setup)),
      shard_(setup_.log.tail(), *this,
             ShardOptions{wire::feed_change_of, setup_.api.presence, this, {}, setup_.heartbeat}),
      desk_(
          [this](PublishRequest&& request, std::uint64_t ticket) {
            return push_publish(setup_.publishes, std::move(request), setup_.index, ticket);
          },
          setup_.log, setup_.admission),
      streams_(DeliveryParts{shard_, setup_.log.tail(), setup_.log.epochs(), setup_.clock, *this, desk_,
                             setup_.admission, setup_.heartbeat, [this] { wake(); },
                             [this](std::function<void()> function) { loop_.post(std::move(function)); }}),
      api_(ApiParts{setup_.keyring, streams_, desk_, setup_.admission, *this, setup_.sources,
                    setup_.tickets,
                    setup_.log.tail(), setup_.log.epochs(), setup_.clock, setup_.metrics, setup_.ready},
           setup_.api),
      counters_(std::make_unique<Counters>(setup_.metrics)) {}

Result<std::unique_ptr<ShardThread>> ShardThread::start(ShardSetup setup) {
  std::unique_ptr<ShardThread> shard(new ShardThread(std::move(setup)));
  shard->server_ =
      TRY(net::HttpServer::listen(shard->loop_, shard->setup_.clock, shard->setup_.http, shard->api_));
  shard->loop_.every(limits::tick_interval, [raw = shard.get()] { raw->tick(); });
  shard->thread_ = std::thread([raw = shard.get()] { raw->loop_.run(); });
  pthread_setname_np(shard->thread_.native_handle(),
                     ("shard-" + std::to_string(shard->setup_.index)).c_str());
  return shard;
}

ShardThread::~ShardThread() {
  if (thread_.joinable()) {
    stop();
    thread_.join();
  }
}

void ShardThread::stop() { loop_.stop(); }

void ShardThread::wake() {
  if (turn_posted_.exchange(true, std::memory_order_acq_rel)) return;
  loop_.post([this] {
    turn_posted_.store(false, std::memory_order_release);
    if (backlog_) return turn();
    if (waiting_ || wait_for_more()) return;
    // Under load the next group is a moment away: both go out in one write. Never twice, and never on an
    // idle server.
    held_back_ = !held_back_ && setup_.log.tail().more_expected();
    if (!held_back_) turn();
  });
}

// A turn that comes right after a long one waits for a quarter of that one's time: what is published
// meanwhile goes out in the same writes. A delay of at most kWaitMax, and only where a turn is long and the
// shard has nothing but turns to do.
bool ShardThread::wait_for_more() {
  const auto wait = std::min<std::chrono::microseconds>(turn_took_ / 4, kWaitMax);
  if (wait.count() == 0 || setup_.clock.now() - turned_ > kWaitMax) return false;
  waiting_ = true;
  loop_.after(wait, [this] {
    waiting_ = false;
    turn();
  });
  return true;
}

void ShardThread::turn() {
  const Instant began = setup_.clock.now();
  backlog_ = shard_.advance(setup_.clock.wall());
  streams_.after_turn();
  if (!presence_.empty()) tell_presence();
  turned_ = setup_.clock.now();
  turn_took_ = turned_ - began;
  sessions_.store(shard_.sessions(), std::memory_order_relaxed);
  if (backlog_) wake();
}

void ShardThread::tick() {
  const Instant now = setup_.clock.now();
  const Duration late = ticked_ == Instant{} ? Duration{0} : now - ticked_ - limits::tick_interval;
  ticked_ = now;
  if (late.count() > lag_ms_.load(std::memory_order_relaxed)) lag_ms_ = late.count();
  sessions_.store(shard_.sessions(), std::memory_order_relaxed);
  shard_.tick(setup_.clock.now(), setup_.clock.wall());
  streams_.tick(setup_.clock.now());
  turn();
  report();
  if (!setup_.api.presence.empty()) tell_presence();
}

// One command at a time, so that a shard never has more than that in the mailbox; what comes and goes
// meanwhile is told with the next one.
void ShardThread::tell_presence() {
  const bool renew = setup_.clock.now() - presence_renewed_ >= limits::presence_renew;
  if (presence_told_ || (presence_.empty() && !renew)) return;
  PresenceCommand command{PresenceCommand::Kind::update, setup_.index, presence_.take()};
  PublishRequest request;
  std::vector<PresenceWord> words = command.words;
  request.command = std::move(command);
  auto ticket = desk_.submit(std::move(request), presence_answers_);
  if (!ticket) return presence_.take_back(words);
  presence_renewed_ = setup_.clock.now();
  presence_told_ = std::move(words);
}

void ShardThread::on_presence_outcome(const PublishOutcome& outcome) {
  const std::vector<PresenceWord> words = std::move(*presence_told_);
  presence_told_.reset();
  if (!outcome) return presence_.take_back(words);  // told at the next tick
  if (outcome.value().command->unknown_holder) presence_.say_all_again();
  tell_presence();
}

void ShardThread::joined(const std::string& topic, const std::string& user) {
  presence_.joined(topic, user);
}

void ShardThread::left(const std::string& topic, const std::string& user) { presence_.left(topic, user); }

void ShardThread::report() {
  Counters& to = *counters_;
  const ShardCounts now = shard_.counts();
  add(to.deliveries, static_cast<double>(now.delivered - to.told.delivered));
  add(to.writes, static_cast<double>(now.writes - to.told.writes));
  add(to.pages, static_cast<double>(now.pages - to.told.pages));
  add(to.resets, static_cast<double>(now.resets - to.told.resets));
  add(to.ephemeral_dropped, static_cast<double>(now.ephemeral_dropped - to.told.ephemeral_dropped));
  add(to.overruns, static_cast<double>(now.overruns - to.told.overruns));
  to.told = now;
  const net::HttpServerCounts http = server_->counts();
  add(to.requests, static_cast<double>(http.requests - to.told_http.requests));
  add(to.accepted, static_cast<double>(http.accepted - to.told_http.accepted));
  add(to.refused, static_cast<double>(http.refused - to.told_http.refused));
  add(to.bytes, static_cast<double>(http.bytes_sent - to.told_http.bytes_sent));
  to.told_http = http;
  // Several shards share a gauge: each adds what changed on its side.
  const auto sessions = static_cast<double>(shard_.sessions());
  const auto connections = static_cast<double>(server_->connections());
  change(to.sessions, sessions - std::exchange(to.told_sessions, sessions));
  change(to.connections, connections - std::exchange(to.told_connections, connections));
}

void ShardThread::answer_publishes(std::vector<PublishedTicket> answers) {
  auto shared =
      std::make_shared<std::vector<PublishedTicket>>(std::move(answers));  // std::function must be copyable
  loop_.post([this, shared] {
    for (auto& answer : *shared) desk_.on_outcome(answer.ticket, std::move(answer.outcome));
  });
}

void ShardThread::answer_page(PageAnswer answer) {
  auto shared = std::make_shared<PageAnswer>(std::move(answer));
  loop_.post([this, shared] {
    shard_.on_page(std::move(*shared), setup_.clock.wall());
    backlog_ ? wake() : turn();  // one turn for many pages while there is more to do
  });
}

void ShardThread::answer_feed(std::uint64_t ticket, Result<FeedReply> reply) {
  auto shared = std::make_shared<Result<FeedReply>>(std::move(reply));
  loop_.post([this, ticket, shared] { api_.on_feed(ticket, *shared); });
}

void ShardThread::revoke(const Revocation& revocation) {
  loop_.post([this, revocation] { shard_.revoke(revocation, setup_.clock.wall()); });
}

void ShardThread::end_keys(std::vector<std::uint64_t> keys) {
  loop_.post([this, keys = std::move(keys)] { shard_.end_keys(keys); });
}

void ShardThread::post(std::function<void(Shard& shard, std::size_t index)> function) {
  loop_.post([this, function = std::move(function)] { function(shard_, setup_.index); });
}

void ShardThread::renew_ticket(std::uint64_t ticket, const Principal& principal) {
  setup_.on_all_shards(
      [ticket, principal, keyring = &setup_.keyring, clock = &setup_.clock](Shard& shard, std::size_t) {
        renew_if_it_stands(shard, *keyring, clock->wall(), ticket, principal);
      });
}

// A revocation that was on its way may have been here already.
void ShardThread::renew_if_it_stands(Shard& shard, const Keyring& keyring, Timestamp now,
                                     std::uint64_t ticket, const Principal& principal) {
  keyring.check(principal, now) ? shard.renew_ticket(ticket, principal) : shard.end_ticket(ticket);
}

void ShardThread::end_ticket_elsewhere(std::uint64_t ticket) {
  setup_.on_all_shards([ticket, here = setup_.index](Shard& shard, std::size_t index) {
    if (index != here) shard.end_ticket(ticket);
  });
}

void ShardThread::drain(Duration window) {
  loop_.post([this, window] {
    server_->stop_accepting();
    drain_until_ = setup_.clock.now() + window;
    drain_some();
    loop_.every(kDrainStep, [this] { drain_some(); });
  });
}

// As many as it takes to be done in time, at an even rate.
void ShardThread::drain_some() {
  const std::size_t left = shard_.sessions();
  const Duration time = drain_until_ - setup_.clock.now();
  if (time <= kDrainStep) return shard_.end_all(Code::shutting_down);
  const auto steps = static_cast<std::size_t>(time / kDrainStep);
  shard_.end_some(Code::shutting_down, (left + steps - 1) / steps);
  sessions_.store(shard_.sessions(), std::memory_order_relaxed);
}

void ShardThread::take_up(net::TlsContext tls, std::vector<std::string> origins, std::latch& taken) {
  loop_.post([this, &taken, tls = std::move(tls), origins = std::move(origins)] {
    if (tls) server_->set_tls(tls);
    api_.set_allowed_origins(origins);
    taken.count_down();
  });
}

void ShardThread::set_load(Load load) {
  loop_.post([this, load] {
    server_->pause_accepting(load == Load::critical);
    if (load == Load::critical) shard_.end_blocked(Code::overloaded);
  });
}

Result<Principal> ShardThread::authenticate(std::string_view token) {
  return setup_.keyring.authenticate(token, setup_.clock.wall());
}

Result<void> ShardThread::check(const Principal& principal) {
  return setup_.keyring.check(principal, setup_.clock.wall());
}

bool ShardThread::ask_feed(FeedJob job, std::uint64_t ticket) {
  const Turn turn{kFeedsClass, keyed_hash(job.question.user)};
  return setup_.reads.push(turn, 1, 0, {setup_.index, std::move(job), ticket});
}

bool ShardThread::ask(PageQuestion question) {
  const Turn turn{kPagesClass, question.owner};
  std::size_t bytes = sizeof(ReadJob);
  for (const Selector& selector : question.request.selectors) {
    bytes += sizeof(Selector) + selector.topic.size();
    for (const std::string& type : selector.types) bytes += sizeof(type) + type.size();
  }
  return setup_.reads.push(turn, 1, bytes, {setup_.index, std::move(question), 0});
}

}  // namespace belfry
