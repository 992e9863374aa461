#include "server/server.h"

#include <malloc.h>
#include <sched.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <latch>
#include <mutex>
#include <optional>

#include "base/whole_file.h"
#include "server/data_dir.h"
#include "server/keys.h"
#include "server/notify.h"
#include "server/settings.h"
#include "server/sources.h"
#include "server/threads.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfig = 3;
constexpr int kExitStore = 74;
constexpr std::size_t kReaders = 2;
constexpr int kStartMebibytes = 2;
constexpr double kTrimFrom = 0.75;                // of the memory that may be used
constexpr std::size_t kLooksBetweenTrims = 20;    // five seconds

// Cores that this process may run on: a container's cpuset or taskset may leave fewer than the machine has.
std::size_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 0)
    return static_cast<std::size_t>(CPU_COUNT(&cores));
  return std::max(1u, std::thread::hardware_concurrency());
}

int tell(Error error, const Config& config) {
  if (error.code == Code::store_full)
    error.detail = std::string(error.message()) + " (A start needs " + std::to_string(kStartMebibytes) +
                   " MiB of room in " + config.store_path + ".)";
  std::fprintf(stderr, "belfry: %s\n        %s\n", error.text().c_str(), std::string(error.hint()).c_str());
  return error.code == Code::config_invalid ? kExitConfig : kExitFailed;
}

// Why the process is to stop: a signal, or the store's failure, told from the log-writer.
class StopRequest {
 public:
  void store_failed(const Error& error) {
    log_error("the store failed; the server stops and acknowledges nothing more",
              {{"error", error.text()}});
    failed_ = true;
    ::kill(::getpid(), SIGTERM);
  }
  bool failed() const { return failed_; }

 private:
  std::atomic<bool> failed_{false};
};

Result<void> fill_keyring(Keyring& keyring, const Config& config, ServerMode mode) {
  if (mode == ServerMode::serve) return load_keys(keyring, config);
  const DevSecrets secrets = TRY(dev_secrets(config.store_path));
  keyring.add_key(TRY(SigningKey::from_secret(secrets.jwt_secret)));
  return keyring.add_backend_key(secrets.backend_key);
}

sigset_t our_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

TokenRules rules_of(const Config& config) { return {config.auth_audience, config.auth_issuer}; }

Result<std::vector<Issuer>> remote_issuers_of(const Config& config) {
  auto issuers = TRY(issuers_of(config));
  std::erase_if(issuers, [](const Issuer& issuer) { return !issuer.remote(); });
  return issuers;
}

class Server {
 public:
  Server(Config config, ServerMode mode, const std::function<LoadedConfig()>& reread)
      : config_(std::move(config)),
        mode_(mode),
        reread_(reread),
        keyring_(rules_of(config_)),
        key_file_(config_.store_path),
        admission_(admission_limits_of(config_)) {}

  Result<void> start();
  int run();

 private:
  Result<void> open_log();
  Result<void> start_keys();
  Result<void> start_shards();
  void reload();
  Result<void> take_up(Config config, const std::vector<ingest::SourceConfig>& sources);
  void watch();
  void end_sessions_of_keys();
  void report(double pressure);
  void save_expected(std::size_t sessions);
  std::size_t sessions() const;
  void stop();

  Config config_;
  const ServerMode mode_;
  const std::function<LoadedConfig()>& reread_;
  const SystemClock clock_;
  SettledClock settled_;  // by which revocations and tickets are forgotten
  Metrics metrics_;
  StopRequest stop_request_;
  std::atomic<bool> ready_{false};
  Keyring keyring_;
  KeyFile key_file_;
  TicketBook tickets_;
  Admission admission_;
  net::TlsContext tls_;
  AdmissionCounts told_;
  double told_unread_ = 0;
  double told_pressure_ = 0;
  std::size_t looks_ = 0;  // of watch()
  std::size_t trim_next_ = 0;  // the look at which memory may be given back again
  std::mutex mutex_;
  std::vector<std::uint64_t> keys_gone_;  // whose sessions are to be ended; under the mutex
  std::size_t saved_ = 0;  // sessions, as the next start will read them
  std::unique_ptr<KeyFetcher> fetcher_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Planner> planner_;
  FairMailbox<PublishJob> publishes_{limits::mailbox_publishes_max, limits::mailbox_publish_bytes_max};
  FairMailbox<ReadJob> reads_{limits::mailbox_pages_max, limits::mailbox_page_bytes_max};
  std::unique_ptr<net::ConnectionBudget> budget_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
  std::unique_ptr<StoreReaders> readers_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<Sources> sources_;
  std::string url_;
};

Result<void> Server::open_log() {
  TRY(make_data_dir(config_.store_path));
  SqliteOptions sqlite;
  sqlite.path = database_path(config_.store_path);
  store_ = TRY(open_sqlite_store(sqlite));
  LogOptions options;
  options.tail_bytes_max = static_cast<std::size_t>(config_.log_tail_bytes);
  options.ephemeral = config_.log_ephemeral;
  RetentionSettings retention = retention_of(config_);
  options.retention = retention.longest;
  options.rules = std::move(retention.rules);
  options.stands = [this](const Scheduled& scheduled) { return keyring_.stands(scheduled); };
  log_ = TRY(Log::open(*store_, std::move(options), Epoch{random_u64()}));
  planner_ = std::make_unique<Planner>(*store_, log_->epochs(),
                                       OwnEventData{wire::mark_data, wire::topic_data, wire::mutes_data,
                                                    wire::id_data, wire::revocation_data, wire::user_data});
  log_->set_planner(*planner_);
  return {};
}

Result<void> Server::start_keys() {
  key_file_.reload(keyring_);
  if (key_file_.is_unreadable())
    return fail(Code::config_invalid, "Cannot read " + config_.store_path + "/backend_keys.");
  const auto revocations = TRY(store_->revocations());
  for (const Revocation& revocation : revocations) keyring_.revoke(revocation);
  keyring_.forget_revocations(clock_.wall());
  const std::vector<UsedTicket> tickets = TRY(store_->tickets());
  tickets_.load(tickets);
  keyring_.on_keys_gone = [this](const std::vector<std::string>& fingerprints) {
    const std::lock_guard lock(mutex_);
    for (const std::string& fingerprint : fingerprints) keys_gone_.push_back(keyed_hash(fingerprint));
  };
  auto issuers = TRY(remote_issuers_of(config_));
  if (mode_ != ServerMode::serve) return {};
  fetcher_ = std::make_unique<KeyFetcher>(keyring_, std::move(issuers), clock_);
  keyring_.on_unknown_key = [this](const std::string& issuer) { fetcher_->want(issuer); };
  return {};
}

Result<void> Server::start_shards() {
  const ListenAddress listen = TRY(parse_listen(config_.http_listen));
  if (listen.port != 0) TRY(net::HttpServer::check_free(listen.host, listen.port));
  std::size_t count = static_cast<std::size_t>(config_.server_shards);
  if (count == 0) count = usable_cores();
  budget_ =
      std::make_unique<net::ConnectionBudget>(connections_max(config_), config_.limits_streams_per_address);
  budget_->set_bytes_max(request_bytes_max(config_));
  const std::string ticket_secret = TRY(read_or_make_secret(config_.store_path + "/ticket_secret"));
  ApiOptions api = api_options_of(config_, mode_, ticket_secret);
  net::HttpServerOptions http = http_options_of(config_, listen);
  http.budget = budget_.get();
  http.tls = tls_ = TRY(tls_of(config_, mode_));
  api.free_addresses = http.free_addresses;
  for (std::size_t i = 0; i < count; ++i) {
    ShardSetup setup{i,
                     http,
                     api,
                     keyring_,
                     tickets_,
                     *log_,
                     clock_,
                     metrics_,
                     publishes_,
                     reads_,
                     ready_,
                     admission_,
                     *sources_,
                     std::chrono::seconds(config_.http_heartbeat_s),
                     [this](auto function) {
                       for (auto& shard : shards_) shard->post(function);
                     }};
    shards_.push_back(TRY(ShardThread::start(std::move(setup))));
    http.port = shards_.front()->port();  // port 0: the others share what the first one got
  }
  const std::string host =
      listen.host.find(':') == std::string::npos ? listen.host : "[" + listen.host + "]";
  url_ = (tls_ ? "https://" : "http://") + host + ":" + std::to_string(http.port);
  return {};
}

Result<void> Server::start() {
  TRY(fill_keyring(keyring_, config_, mode_));
  sources_ =
      std::make_unique<Sources>(clock_, metrics_, [this](PublishRequest&& request, std::uint64_t ticket) {
        return push_publish(publishes_, std::move(request), shards_.size(), ticket);
      });
  TRY(sources_->prepare(config_.sources));
  settled_.of(clock_.now(), clock_.wall());
  TRY(open_log());
  TRY(start_keys());
  const std::vector<Position> positions = TRY(store_->positions());
  std::vector<std::unique_ptr<StoreReader>> readers;
  for (std::size_t i = 0; i < kReaders; ++i) readers.push_back(TRY(store_->open_reader()));
  TRY(start_shards());
  StoreReaders::Callbacks replies;
  replies.page = [this](std::size_t shard, PageAnswer answer) {
    shards_[shard]->answer_page(std::move(answer));
  };
  replies.feed = [this](std::size_t shard, std::uint64_t ticket, Result<FeedReply> reply) {
    shards_[shard]->answer_feed(ticket, std::move(reply));
  };
  readers_ = std::make_unique<StoreReaders>(std::move(readers), reads_, log_->tail(), clock_, metrics_,
                                            std::move(replies));
  LogWriter::Callbacks callbacks;
  callbacks.wake_shards = [this] {
    for (auto& shard : shards_) shard->wake();
  };
  callbacks.answer = [this](std::size_t shard, std::vector<PublishedTicket> answers) {
    if (shard == shards_.size()) return sources_->answer(std::move(answers));
    shards_[shard]->answer_publishes(std::move(answers));
  };
  callbacks.revoked = [this](const Revocation& revocation) {
    keyring_.revoke(revocation);
    for (auto& shard : shards_) shard->revoke(revocation);
  };
  callbacks.erased = [this](const std::string& user) { tickets_.forget_of("user:" + user); };
  callbacks.failed = [this](const Error& error) { stop_request_.store_failed(error); };
  writer_ = std::make_unique<LogWriter>(*log_, publishes_, clock_, metrics_, shards_.size() + 1,
                                        std::move(callbacks));
  sources_->start(positions);
  std::size_t expected = 0;
  std::ifstream(config_.store_path + "/sessions") >> expected;
  admission_.expect(expected);
  log_info("listening", {{"url", url_},
                         {"data", config_.store_path},
                         {"shards", std::to_string(shards_.size())},
                         {"head", std::to_string(log_->tail().head())}});
  ready_ = true;
  return {};
}

// Signals are blocked in every thread and taken here. Four times a second it is looked at how crowded it
// is.
int Server::run() {
  announce(config_, mode_, url_, clock_);
  notify_manager("READY=1");
  const sigset_t signals = our_signals();
  const timespec pause{0, 250'000'000};
  int signal = -1;
  while (signal != SIGTERM && signal != SIGINT) {
    signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal == SIGHUP) reload();
    if (signal < 0) watch();
  }
  notify_manager("STOPPING=1");
  if (!stop_request_.failed()) log_info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second signal ends the process at once
  stop();
  return stop_request_.failed() ? kExitStore : 0;
}

std::size_t Server::sessions() const {
  std::size_t count = 0;
  for (const auto& shard : shards_) count += shard->sessions();
  return count;
}

void Server::watch() {
  Duration lag{0};
  for (const auto& shard : shards_) lag = std::max(lag, shard->take_lag());
  const auto part = [](auto is, auto most) { return static_cast<double>(is) / static_cast<double>(most); };
  double memory = part(memory_used(), memory_limit(config_));
  // What the allocator keeps of memory that nobody uses any more is not used; it would count for ever.
  if (memory >= kTrimFrom && looks_ >= trim_next_) {
    ::malloc_trim(0);
    trim_next_ = looks_ + kLooksBetweenTrims;
    memory = part(memory_used(), memory_limit(config_));
  }
  const double fullness = std::max(memory, part(publishes_.size(), limits::mailbox_publishes_max));
  const bool changed = admission_.look(fullness, lag);
  const Load load = admission_.load();
  if (changed)
    log_warn("load",
             {{"level", std::string(name_of(load))}, {"pressure", std::to_string(admission_.pressure())}});
  if (changed || load == Load::critical)
    for (auto& shard : shards_) shard->set_load(load);
  end_sessions_of_keys();
  if (++looks_ % 4 != 0) return;
  // Once a second: a revoked backend key is refused within two.
  if (key_file_.reload(keyring_)) log_info("the backend keys have changed", {});
  end_sessions_of_keys();
  const std::size_t count = sessions();
  report(admission_.pressure());
  sources_->report();
  if (looks_ % 40 == 0) save_expected(count);
  const Timestamp settled = settled_.of(clock_.now(), clock_.wall());
  if (looks_ % 240 == 0) {
    keyring_.forget_revocations(settled);
    tickets_.forget(settled);
  }
  if (looks_ > 240) admission_.expect(count);  // by now those of before the start have come back
}

// Those that a key vouched for which is gone.
void Server::end_sessions_of_keys() {
  std::vector<std::uint64_t> keys;
  {
    const std::lock_guard lock(mutex_);
    keys.swap(keys_gone_);
  }
  if (keys.empty()) return;
  for (auto& shard : shards_) shard->end_keys(keys);
}

void Server::report(double pressure) {
  const auto refused = [this](std::string_view reason) -> prometheus::Counter& {
    return metrics_.counter("belfry_streams_refused_total", "Streams that were told to come back later.",
                            "reason", reason);
  };
  const AdmissionCounts now = admission_.counts();
  add(refused("rate"), static_cast<double>(now.by_rate - told_.by_rate));
  add(refused("user"), static_cast<double>(now.by_user - told_.by_user));
  add(refused("address"), static_cast<double>(now.by_address - told_.by_address));
  add(refused("load"), static_cast<double>(now.by_load - told_.by_load));
  told_ = now;
  change(metrics_.gauge("belfry_pressure_ratio", "How full the fullest of memory, loops and store is."),
         pressure - std::exchange(told_pressure_, pressure));
  const auto unread = static_cast<double>(budget_->unread());
  change(metrics_.gauge("belfry_unread_bytes", "Bytes that clients were answered and have not taken."),
         unread - std::exchange(told_unread_, unread));
}

// How many will come back if the process dies now, for the next one to know.
void Server::save_expected(std::size_t sessions) {
  if (sessions == saved_) return;
  // On a full disk the last number stays, and it is tried again.
  if (replace_file(config_.store_path + "/sessions", std::to_string(sessions) + "\n")) saved_ = sessions;
}

void Server::reload() {
  notify_reloading(clock_.now());
  LoadedConfig loaded = reread_();
  const std::vector<ingest::SourceConfig> sources = loaded.config.sources;  // as they are written now
  for (const auto& problem : loaded.problems)
    log_error("the configuration was not reloaded", {{"at", problem.where}, {"problem", problem.text}});
  if (loaded.problems.empty()) {
    for (const auto& name : keep_running(config_, loaded.config))
      log_warn("a changed setting needs a restart", {{"setting", name}});
    if (auto taken = take_up(std::move(loaded.config), sources); !taken)
      log_error("the configuration was not reloaded", {{"problem", taken.error().text()}});
    else
      log_info("the configuration was reloaded", {});
  }
  notify_manager("READY=1");
}

// Everything that can fail comes first; then all of it counts.
Result<void> Server::take_up(Config config, const std::vector<ingest::SourceConfig>& sources) {
  net::TlsContext tls = TRY(tls_of(config, mode_));
  if (static_cast<bool>(tls) != static_cast<bool>(tls_))
    return fail(Code::config_invalid, "TLS is switched on and off by a restart only.");
  Keyring fresh(rules_of(config));
  TRY(fill_keyring(fresh, config, mode_));
  auto issuers = TRY(remote_issuers_of(config));
  auto secrets = TRY(sources_->read_secrets(sources));
  if (tls) {
    tls.take_tickets_of(tls_);
    tls_ = tls;
  }
  std::latch taken(static_cast<std::ptrdiff_t>(shards_.size()));
  for (auto& shard : shards_) shard->take_up(tls, config.http_allowed_origins, taken);
  taken.wait();  // who is refused by the new keys is not answered by an old setting afterwards
  // In this order no answer brings back the keys of an issuer that is configured no more.
  if (fetcher_) fetcher_->set_issuers(std::move(issuers));
  keyring_.take_configured(std::move(fresh));
  sources_->take_secrets(std::move(secrets));
  admission_.set_limits(admission_limits_of(config));
  budget_->set_per_address(config.limits_streams_per_address);
  budget_->set_bytes_max(request_bytes_max(config));
  writer_->set_retention(retention_of(config));
  config_ = std::move(config);
  return {};
}

// Outside in: no new requests, streams told one after the other, then the log commits what waits and
// answers it, then the loops end.
void Server::stop() {
  ready_ = false;
  const std::size_t clients = sessions();
  save_expected(clients);
  admission_.expect(clients);
  sources_->stop();
  const Duration most = std::chrono::seconds(config_.server_shutdown_timeout_s);
  const Duration window = std::min(most, Duration{static_cast<Duration::rep>(clients)});  // 1,000 a second
  for (auto& shard : shards_) shard->drain(window);
  const Instant drained = clock_.now() + window;
  while (clock_.now() < drained && sessions() > 0) std::this_thread::sleep_for(Duration{20});
  writer_.reset();
  readers_.reset();
  // The last answers and closes are on their way to the sockets.
  const Instant until = clock_.now() + std::min(most, Duration{1000});
  while (clock_.now() < until) std::this_thread::sleep_for(Duration{20});
  shards_.clear();
  fetcher_.reset();
  log_.reset();
  store_.reset();
}

}  // namespace

int run_server(const Config& config, ServerMode mode, const std::function<LoadedConfig()>& reread) {
  const sigset_t signals = our_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const LogFormat format = config.server_log_format == "text"   ? LogFormat::text
                           : config.server_log_format == "json" ? LogFormat::json
                                                                : LogFormat::automatic;
  log_start(format, config.server_log_level);
  Server server(config, mode, reread);
  if (auto started = server.start(); !started) return tell(started.error(), config);
  return server.run();
}

}  // namespace belfry
