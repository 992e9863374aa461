#pragma once
// A connection of net on one end of a socket pair, and the fuzzer at the other.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "net/connection.h"
#include "net/net.h"

namespace belfry::fuzz {

// Answers everything, each path in another way, and checks that it is treated as net promises.
struct Everything : net::Handler, net::StreamEvents {
  net::Exchange* stream = nullptr;
  std::size_t requests = 0, bytes = 0;
  net::WebSocketParser frames;

  void on_request(net::Exchange& exchange) override {
    const net::Request& request = exchange.request();
    ++requests;
    CHECK(request.path.starts_with('/') && is_utf8(request.path));
    CHECK(request.headers.size() <= limits::header_fields_max + 1);
    CHECK(request.body.size() <= limits::body_bytes_max);
    for (const auto& [name, value] : request.headers) {
      CHECK(name.find_first_of("\r\n:\0ABC") == std::string::npos);
      CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    }
    if (stream != nullptr) return exchange.respond({200, {}, request.body});
    if (net::wants_websocket(request) && net::check_websocket_upgrade(request)) {
      exchange.upgrade({}, *this);
      stream = &exchange;
    } else if (request.path == "/s") {
      exchange.begin(200, {{"Content-Type", "text/event-stream"}}, *this);
      stream = &exchange;
    } else if (request.path == "/d") {
      exchange.defer(*this);
      stream = &exchange;
    } else {
      exchange.respond({request.body.empty() ? 200 : 201, {{"X-Echo", "1"}}, request.body});
    }
  }
  void on_writable() override {}
  void on_bytes(std::string_view piece) override {
    bytes += piece.size();
    frames.feed(piece);
    while (auto message = frames.next()) {
      const std::string answer = net::websocket_text("ok");
      const std::string_view view = answer;
      stream->write({&view, 1});
    }
    if (frames.failure()) stream->close();
  }
  void on_closed() override { stream = nullptr; }
};

inline net::Reactor& reactor() {
  static boost::asio::io_context context(1);
  static net::Reactor made(context);
  return made;
}

struct Owner final : net::ConnectionOwner {
  ManualClock clock;
  Everything handler;
  net::LoopBuffers all_buffers;
  net::HttpServerOptions http;
  std::unique_ptr<net::Connection> connection;

  void request_ready(net::Exchange& exchange) override { handler.on_request(exchange); }
  void remove(std::uint32_t) override { connection.reset(); }
  void set_deadline(std::uint32_t, Instant) override {}
  Instant now() const override { return clock.now(); }
  net::LoopBuffers& buffers() override { return all_buffers; }
  net::Reactor& reactor() override { return fuzz::reactor(); }
  std::string_view date() override { return "Sat, 21 Nov 2026 00:00:00 GMT"; }
  void count_sent(std::size_t) override {}
  bool accepting() const override { return true; }
  const net::HttpServerOptions& options() const override { return http; }
};

// Gives the bytes in pieces of `step`, and reads what comes back.
inline std::string talk(std::string_view bytes, std::size_t step) {
  auto& context = reactor().context();
  int ends[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  Owner owner;
  owner.connection = std::make_unique<net::Connection>(owner, ends[0], 0);
  owner.connection->start({});
  std::string answer;
  char buffer[65536];
  const auto run = [&] {
    context.restart();
    context.poll();
    for (ssize_t got; (got = ::recv(ends[1], buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(got));
  };
  while (!bytes.empty() && owner.connection) {
    const auto piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    if (::send(ends[1], piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    run();
    if (owner.connection) owner.connection->time_out();  // deadlines pass at any moment
    run();
  }
  if (owner.connection && owner.handler.stream != nullptr) owner.handler.stream->close();
  run();
  ::close(ends[1]);
  run();
  run();
  CHECK(owner.connection == nullptr);
  return answer;
}

}  // namespace belfry::fuzz
