#include "net/http_server.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <ctime>
#include <deque>
#include <exception>
#include <functional>

#include "net/connection.h"

namespace belfry::net {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

constexpr int kBacklog = 4096;
constexpr Duration kPauseWithoutDescriptors{200};

void set_option(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);
}

class HttpServerImpl final : public HttpServer, public ConnectionOwner {
 public:
  HttpServerImpl(Loop& loop, const Clock& clock, HttpServerOptions options, Handler& handler)
      : loop_(loop),
        clock_(clock),
        options_(std::move(options)),
        handler_(handler),
        acceptor_(loop.context()),
        spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  ~HttpServerImpl() override { ::close(spare_); }

  Result<void> bind() {
    boost::system::error_code failed;
    const auto address = asio::ip::make_address(options_.address, failed);
    if (failed) return fail(Code::connection_failed, "Not an IP address: " + options_.address);
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), failed);
    if (!failed) {
      set_option(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEADDR, 1);
      set_option(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, 1);
      acceptor_.bind(endpoint, failed);
    }
    if (!failed) acceptor_.listen(kBacklog, failed);
    if (!failed) acceptor_.non_blocking(true, failed);
    if (failed)
      return fail(Code::connection_failed, "Cannot listen on " + options_.address + ":" +
                                               std::to_string(options_.port) + ": " + failed.message());
    port_ = acceptor_.local_endpoint().port();
    loop_.every(options_.look_around, [this] { sweep(); });
    wait_accept();
    return {};
  }

  std::uint16_t port() const override { return port_; }
  std::size_t connections() const override { return count_; }
  const HttpServerCounts& counts() const override { return counts_; }

  void stop_accepting() override {
    accepting_ = false;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (auto& connection : slots_)
      if (connection) connection->drain();
  }

  void pause_accepting(bool pause) override {
    paused_ = pause;
    pause ? void(accept_some()) : wait_accept();
  }

  void request_ready(Exchange& exchange) override {
    ++counts_.requests;
    handler_.on_request(exchange);
  }
  void remove(std::uint32_t slot) override {
    slots_[slot].reset();
    free_slots_.push_back(slot);
    --count_;
    if (options_.budget != nullptr) options_.budget->give_back(address_slots_[slot]);
  }
  void flush_later(Connection& connection) override {
    flushes_.push_back(&connection);
    post_flushes();
  }
  void set_deadline(std::uint32_t slot, Instant deadline) override { deadlines_[slot] = deadline; }
  Instant now() const override { return clock_.now(); }
  LoopBuffers& buffers() override { return buffers_; }
  Reactor& reactor() override { return loop_.reactor(); }
  const HttpServerOptions& options() const override { return options_; }
  void set_tls(TlsContext tls) override { options_.tls = std::move(tls); }
  void count_sent(std::size_t bytes) override { counts_.bytes_sent += bytes; }
  bool accepting() const override { return accepting_; }

  std::string_view date() override {
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(clock_.wall().value).count();
    if (second != date_second_) {
      date_second_ = second;
      const std::time_t time = second;
      std::tm parts{};
      gmtime_r(&time, &parts);
      char text[64];
      date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    }
    return date_;
  }

 private:
  // Some of them, and then what else there is to do; whoever wants it again meanwhile comes after that.
  void post_flushes() {
    if (flushes_.empty() || std::exchange(flushes_posted_, true)) return;
    asio::post(loop_.context(), [this] {
      flushes_posted_ = false;
      for (std::size_t left = std::min(flushes_.size(), limits::flushes_turn_max); left > 0; --left) {
        Connection& connection = *flushes_.front();
        flushes_.pop_front();
        connection.flush();
      }
      post_flushes();
    });
  }

  void wait_accept() {
    if (!accepting_ || paused_ || waiting_accept_) return;
    waiting_accept_ = true;
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](boost::system::error_code failed) {
      waiting_accept_ = false;
      if (failed || !accepting_ || paused_) return;
      if (accept_some()) wait_accept();
    });
  }

  // False if accepting has to pause: the sweep takes it up again.
  bool accept_some() {
    for (std::size_t i = 0; i < limits::accept_batch_max; ++i) {
      tcp::endpoint peer;
      socklen_t size = static_cast<socklen_t>(peer.capacity());
      const int socket =
          ::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0 && (errno == EMFILE || errno == ENFILE)) return refuse_without_descriptor();
      if (socket < 0) return true;
      ++counts_.accepted;
      peer.resize(size);
      const auto slot = seat_of(peer);
      if (!slot) {
        ++counts_.refused;
        ::close(socket);
        continue;
      }
      add(socket, *slot);
    }
    return true;
  }

  std::optional<std::uint32_t> seat_of(const tcp::endpoint& peer) {
    if (options_.budget == nullptr) return 0;
    const std::string address = peer.address().to_string();
    return options_.budget->take(options_.free_addresses.contains(address) ? std::string_view() : address);
  }

  // Out of descriptors: the spare one takes a client off the queue, which is told so by the close.
  bool refuse_without_descriptor() {
    ++counts_.refused;
    ::close(spare_);
    const int socket = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
    if (socket >= 0) ::close(socket);
    spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    paused_until_ = clock_.now() + kPauseWithoutDescriptors;
    log_warn("no file descriptor left for a new connection");
    return false;
  }

  void add(int descriptor, std::uint32_t address_slot) {
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    // A peer that vanished is noticed within 45 s: unsent bytes, at the latest those of a heartbeat after
    // 20 s, are waited for as long again.
    set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, 20'000);
    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 20);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 8);
    set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 3);
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
      deadlines_.push_back(Instant::never());
      address_slots_.push_back(0);
    }
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    ++count_;
    address_slots_[slot] = address_slot;
    slots_[slot] = std::make_unique<Connection>(*this, descriptor, slot);
    slots_[slot]->start(options_.tls);
  }

  void sweep() {
    const Instant now = clock_.now();
    for (std::size_t slot = 0; slot < deadlines_.size(); ++slot) {
      if (deadlines_[slot] > now || !slots_[slot]) continue;
      deadlines_[slot] = Instant::never();
      slots_[slot]->time_out();
    }
    if (paused_until_ && *paused_until_ <= now) {
      paused_until_.reset();
      wait_accept();
    }
    if (options_.budget != nullptr && options_.budget->is_over()) make_room();
  }

  // Who holds most has to go first, until all of them together hold what they may.
  void make_room() {
    std::vector<std::pair<std::size_t, Connection*>> holders;
    for (const auto& connection : slots_)
      if (connection && connection->holds_too_much() > 0)
        holders.emplace_back(connection->holds_too_much(), connection.get());
    std::sort(holders.begin(), holders.end(), std::greater<>());
    for (const auto& [held, connection] : holders)
      if (connection->holds_too_much() > 0) connection->let_go();
  }

  Loop& loop_;
  const Clock& clock_;
  HttpServerOptions options_;
  Handler& handler_;
  tcp::acceptor acceptor_;
  int spare_;
  LoopBuffers buffers_;
  std::deque<Connection*> flushes_;  // each once; they live until then
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<Instant> deadlines_;  // by slot; apart, so that a sweep does not touch idle connections
  std::vector<std::uint32_t> address_slots_;  // by slot; of the budget
  std::vector<std::uint32_t> free_slots_;
  bool flushes_posted_ = false;
  std::size_t count_ = 0;
  std::uint16_t port_ = 0;
  bool accepting_ = true;
  bool paused_ = false;
  bool waiting_accept_ = false;
  std::optional<Instant> paused_until_;
  HttpServerCounts counts_;
  std::string date_;
  std::int64_t date_second_ = -1;
};

}  // namespace

Result<void> HttpServer::check_free(const std::string& address, std::uint16_t port) {
  asio::io_context context;
  tcp::acceptor probe(context);
  boost::system::error_code failed;
  const tcp::endpoint endpoint(asio::ip::make_address(address, failed), port);
  if (!failed) probe.open(endpoint.protocol(), failed);
  if (!failed) probe.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed) probe.bind(endpoint, failed);
  if (!failed) probe.listen(1, failed);
  if (!failed) return {};
  return fail(Code::connection_failed,
              "Cannot listen on " + address + ":" + std::to_string(port) + ": " + failed.message());
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(Loop& loop, const Clock& clock,
                                                       HttpServerOptions options, Handler& handler) {
  auto server = std::make_unique<HttpServerImpl>(loop, clock, std::move(options), handler);
  TRY(server->bind());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace belfry::net
