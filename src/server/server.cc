#include "server/server.h"

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "server/data_dir.h"
#include "server/keys.h"
#include "server/threads.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfig = 3;
constexpr int kExitStore = 74;
constexpr std::size_t kReaders = 2;

int tell(const Error& error) {
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

// As many descriptors as the system allows, less a reserve for the store and itself.
std::size_t connections_max(const Config& config) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto room = static_cast<std::size_t>(limit.rlim_cur) - limits::descriptors_reserved;
  return std::min<std::size_t>(config.http_connections_max, room);
}

class Server {
 public:
  Server(const Config& config, ServerMode mode)
      : config_(config),
        mode_(mode),
        keyring_(TokenRules{config.auth_audience, config.auth_issuer}),
        key_file_(config.store_path) {}

  Result<void> start();
  void announce() const;
  int run();

 private:
  Result<void> open_log();
  void set_retention(LogOptions& options) const;
  Result<void> start_keys();
  Result<void> start_shards();
  void stop();

  const Config& config_;
  const ServerMode mode_;
  const SystemClock clock_;
  Metrics metrics_;
  StopRequest stop_request_;
  std::atomic<bool> ready_{false};
  Keyring keyring_;
  KeyFile key_file_;
  std::unique_ptr<KeyFetcher> fetcher_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Planner> planner_;
  Mailbox<PublishJob> publishes_{limits::mailbox_publishes_max};
  Mailbox<ReadJob> reads_{limits::mailbox_pages_max};
  std::unique_ptr<net::ConnectionBudget> budget_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
  std::unique_ptr<StoreReaders> readers_;
  std::unique_ptr<LogWriter> writer_;
  std::string url_;
};

// The whole log is trimmed by the longest age of all; what is to go sooner, topic by topic.
void Server::set_retention(LogOptions& options) const {
  std::optional<Duration> general;
  if (config_.log_retention_days > 0) general = std::chrono::hours(24) * config_.log_retention_days;
  options.retention = general;
  for (const auto& text : config_.log_retention) {
    auto rule = parse_retention_rule(text);
    if (!rule) continue;  // load_config has refused it
    if (!rule.value().age) rule.value().age = general;
    if (general && *rule.value().age > *options.retention) options.retention = rule.value().age;
    options.rules.push_back(std::move(rule).value());
  }
  if (general && *options.retention > *general) options.rules.push_back({"#", general, {}});
}

Result<void> Server::open_log() {
  TRY(make_data_dir(config_.store_path));
  SqliteOptions sqlite;
  sqlite.path = database_path(config_.store_path);
  store_ = TRY(open_sqlite_store(sqlite));
  LogOptions options;
  options.tail_bytes_max = static_cast<std::size_t>(config_.log_tail_bytes);
  options.ephemeral = config_.log_ephemeral;
  set_retention(options);
  log_ = TRY(Log::open(*store_, std::move(options), Epoch{random_u64()}));
  planner_ = std::make_unique<Planner>(*store_, log_->epochs(),
                                       OwnEventData{wire::mark_data, wire::topic_data, wire::mutes_data,
                                                    wire::id_data, wire::revocation_data, wire::user_data});
  log_->set_planner(*planner_);
  return {};
}

Result<void> Server::start_keys() {
  key_file_.reload(keyring_);
  const auto revocations = TRY(store_->revocations());
  for (const Revocation& revocation : revocations) keyring_.revoke(revocation);
  keyring_.forget_revocations(clock_.wall());
  auto issuers = TRY(issuers_of(config_));
  std::erase_if(issuers, [](const Issuer& issuer) { return !issuer.remote(); });
  if (issuers.empty() || mode_ == ServerMode::dev) return {};
  fetcher_ = std::make_unique<KeyFetcher>(keyring_, std::move(issuers), clock_);
  keyring_.on_unknown_key = [this](const std::string& issuer) { fetcher_->want(issuer); };
  return {};
}

Result<void> Server::start_shards() {
  const ListenAddress listen = TRY(parse_listen(config_.http_listen));
  if (listen.port != 0) TRY(net::HttpServer::check_free(listen.host, listen.port));
  std::size_t count = static_cast<std::size_t>(config_.server_shards);
  if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
  budget_ = std::make_unique<net::ConnectionBudget>(connections_max(config_));
  const std::string ticket_secret = TRY(read_or_make_secret(config_.store_path + "/ticket_secret"));
  const ApiOptions api{config_.http_allowed_origins, mode_ == ServerMode::dev, config_.auth_cookie,
                       ticket_secret, config_.presence_topics};
  net::HttpServerOptions http{listen.host, listen.port, budget_.get()};
  for (std::size_t i = 0; i < count; ++i) {
    ShardSetup setup{
        i, http, api, keyring_, *log_, clock_, metrics_, publishes_, reads_, ready_, [this](auto function) {
          for (auto& shard : shards_) shard->post(function);
        }};
    shards_.push_back(TRY(ShardThread::start(std::move(setup))));
    http.port = shards_.front()->port();  // port 0: the others share what the first one got
  }
  const std::string host =
      listen.host.find(':') == std::string::npos ? listen.host : "[" + listen.host + "]";
  url_ = "http://" + host + ":" + std::to_string(http.port);
  return {};
}

Result<void> Server::start() {
  TRY(fill_keyring(keyring_, config_, mode_));
  TRY(open_log());
  TRY(start_keys());
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
    shards_[shard]->answer_publishes(std::move(answers));
  };
  callbacks.revoked = [this](const Revocation& revocation) {
    keyring_.revoke(revocation);
    for (auto& shard : shards_) shard->revoke(revocation);
  };
  callbacks.failed = [this](const Error& error) { stop_request_.store_failed(error); };
  writer_ = std::make_unique<LogWriter>(*log_, publishes_, clock_, metrics_, shards_.size(),
                                        std::move(callbacks));
  ready_ = true;
  return {};
}

void Server::announce() const {
  log_info("listening", {{"url", url_},
                         {"data", config_.store_path},
                         {"shards", std::to_string(shards_.size())},
                         {"head", std::to_string(log_->tail().head())}});
  if (mode_ != ServerMode::dev) {
    std::printf("%s\n", url_.c_str());
    std::fflush(stdout);
    return;
  }
  const auto secrets = dev_secrets(config_.store_path);
  if (!secrets) return;
  const Timestamp now = clock_.wall();
  const std::string token =
      mint_token({"ana", {}, {}, now, now + std::chrono::hours(24), {}}, secrets.value().jwt_secret);
  const std::string second =
      mint_token({"bob", {}, {}, now, now + std::chrono::hours(24), {}}, secrets.value().jwt_secret);
  const std::string& key = secrets.value().backend_key;
  std::printf(
      "Belfry is running, for development only: %s\n\n"
      "  Data         %s\n"
      "  Backend key  %s\n"
      "  Token (ana)  %s\n\n"
      "See it in a browser, with the feeds of ana and bob, already filled in:\n\n"
      "  %s/#token=%s&second=%s&key=%s\n\n"
      "Or listen as ana in one terminal:\n\n"
      "  curl -N -H 'Accept: text/event-stream' -H 'Authorization: Bearer %s' "
      "'%s/v1/events?topic=users/ana'\n\n"
      "and publish in another:\n\n"
      "  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n"
      "    -d '{\"topic\":\"users/ana\",\"type\":\"booking.confirmed\",\"data\":{\"booking\":7}}' "
      "%s/v1/events\n\n"
      "Ctrl-C stops it; the data stays.\n",
      url_.c_str(), config_.store_path.c_str(), key.c_str(), token.c_str(), url_.c_str(), token.c_str(),
      second.c_str(), key.c_str(), token.c_str(), url_.c_str(), key.c_str(), url_.c_str());
  std::fflush(stdout);
}

// Signals are blocked in every thread and taken here.
int Server::run() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Once a second the file of backend keys is looked at: a revoked key is refused within two.
  const timespec second{1, 0};
  int signal = -1;
  while (signal < 0) {
    signal = sigtimedwait(&signals, nullptr, &second);
    if (signal < 0 && key_file_.reload(keyring_)) log_info("the backend keys have changed", {});
  }
  if (!stop_request_.failed()) log_info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second signal ends the process at once
  stop();
  return stop_request_.failed() ? kExitStore : 0;
}

// Outside in: no new requests, streams told, then the log commits what waits and answers it, then the loops
// end.
void Server::stop() {
  ready_ = false;
  for (auto& shard : shards_) shard->drain();
  writer_.reset();
  readers_.reset();
  // The last answers and closes are on their way to the sockets.
  const Instant until =
      clock_.now() + std::chrono::seconds(std::min<std::uint64_t>(config_.server_shutdown_timeout_s, 1));
  while (clock_.now() < until) std::this_thread::sleep_for(Duration{20});
  shards_.clear();
  fetcher_.reset();
  log_.reset();
  store_.reset();
}

}  // namespace

int run_server(const Config& config, ServerMode mode) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const LogFormat format = config.server_log_format == "text"   ? LogFormat::text
                           : config.server_log_format == "json" ? LogFormat::json
                                                                : LogFormat::automatic;
  log_start(format, config.server_log_level);
  Server server(config, mode);
  if (auto started = server.start(); !started) return tell(started.error());
  server.announce();
  return server.run();
}

}  // namespace belfry
