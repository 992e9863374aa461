#pragma once
// A server and a peer made by hand, for the tests of this room.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"

namespace belfry::net {

// Echoes; /stream begins a stream that the test writes to, /tunnel one of both ways, /later answers when the
// test says so, and so does each /wait, /large answers with large_bytes.
struct Echo : Handler, StreamEvents {
  Exchange* held = nullptr;
  std::vector<Exchange*> streams;
  int writable = 0, closed = 0;
  static constexpr std::size_t large_bytes = 100'000;

  void on_request(Exchange& exchange) override {
    const Request& request = exchange.request();
    if (request.path == "/stream") {
      exchange.begin(200, {{"Content-Type", "text/plain"}}, *this);
      streams.push_back(&exchange);
      return;
    }
    if (request.path == "/tunnel") {
      exchange.upgrade({}, *this);
      streams.push_back(&exchange);
      return;
    }
    if (request.path == "/wait") {
      exchange.defer(*this);
      streams.push_back(&exchange);
      return;
    }
    if (request.path == "/later") {
      exchange.defer(*this);
      held = &exchange;
      return;
    }
    if (request.path == "/large") return exchange.respond({200, {}, std::string(large_bytes, 'x')});
    std::string body = request.method + " " + request.path;
    for (const auto& [name, value] : request.query) body += " " + name + "=" + value;
    for (const auto& [name, value] : request.headers)
      if (name == "x-echo") body += " " + name + ":" + value;
    exchange.respond({200, {}, body + " " + request.body});
  }
  void on_writable() override { ++writable; }
  void on_bytes(std::string_view) override {}
  void on_closed() override { ++closed; }
};

struct Peer {
  int socket = -1;
  bool ended = false;  // the server has said that no more comes, and was heard
  // `receive_bytes`: how much waits unread on its side, about; 0: as the kernel does.
  explicit Peer(std::uint16_t port, int receive_bytes = 0) {
    socket = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
      ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const int on = 1;  // what is sent is there at once, also behind something that was not acknowledged yet
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    timeval limit{5, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Peer() { ::close(socket); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void send(std::string_view text) const {
    CHECK(::send(socket, text.data(), text.size(), MSG_NOSIGNAL) >= 0);
  }
  // Until `needle` has come, or the end.
  std::string until(std::string_view needle) {
    std::string all;
    char buffer[65536];
    std::size_t from = 0;
    while (all.find(needle, from) == std::string::npos) {
      from = all.size() < needle.size() ? 0 : all.size() - needle.size();
      const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
      ended = got == 0 || (got < 0 && errno == ECONNRESET);
      if (got <= 0) break;
      all.append(buffer, static_cast<std::size_t>(got));
    }
    return all;
  }
  std::string to_end() { return until("no such text anywhere"); }
};

template <class AClock>
struct ServerTest : ::testing::Test {
  AClock clock;
  Loop loop;
  Echo echo;
  std::unique_ptr<HttpServer> server;
  std::thread thread;

  // The test starts it.
  struct Later {};

  ServerTest() { start({}); }
  explicit ServerTest(Later) {}
  void start(HttpServerOptions options) {
    server = std::move(HttpServer::listen(loop, clock, std::move(options), echo)).value();
    thread = std::thread([this] { loop.run(); });
  }
  explicit ServerTest(HttpServerOptions options) { start(std::move(options)); }

  ~ServerTest() override {
    loop.stop();
    thread.join();
  }
  // Runs on the loop's thread and gives back its result.
  template <class Function>
  auto on_loop(Function function) {
    std::promise<decltype(function())> done;
    loop.post([&] { done.set_value(function()); });
    return done.get_future().get();
  }
  // Until the loop has taken what was sent to it: on loopback that is there once send has returned.
  void settle() {
    for (int i = 0; i < 100; ++i) on_loop([] { return 0; });
  }
  template <class Condition>
  void wait_for(Condition condition) {
    const Instant end = SystemClock().now() + std::chrono::seconds(10);
    while (!on_loop(condition) && SystemClock().now() < end) std::this_thread::yield();
    ASSERT_TRUE(on_loop(condition));
  }
};

}  // namespace belfry::net
