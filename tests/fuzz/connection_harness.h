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
  void flush_later(net::Connection& of) override {
    boost::asio::post(reactor().context(), [&of] { of.flush(); });
  }
  void set_deadline(std::uint32_t, Instant) override {}
  Instant now() const override { return clock.now(); }
  net::LoopBuffers& buffers() override { return all_buffers; }
  net::Reactor& reactor() override { return fuzz::reactor(); }
  std::string_view date() override { return "Sat, 21 Nov 2026 00:00:00 GMT"; }
  void count_sent(std::size_t) override {}
  bool accepting() const override { return true; }
  const net::HttpServerOptions& options() const override { return http; }
};

// A connection, and the client's end of its socket.
class Conversation {
 public:
  explicit Conversation(const net::TlsContext& tls = {}) {
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    socket_ = ends[1];
    owner.connection = std::make_unique<net::Connection>(owner, ends[0], 0);
    owner.connection->start(tls);
  }
  // However it went, nothing of the connection is left in the end, and nobody holds an exchange.
  ~Conversation() {
    if (owner.connection && owner.handler.stream != nullptr) owner.handler.stream->close();
    run();
    ::close(socket_);
    run();
    run();
    CHECK(owner.connection == nullptr && owner.handler.stream == nullptr);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // False: nobody is there to take it.
  bool send(std::string_view bytes) {
    if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return false;
    run();
    return owner.connection != nullptr;
  }
  // The client will send no more.
  void half_close() {
    ::shutdown(socket_, SHUT_WR);
    run();
  }
  // Everything that can be done now, on both ends.
  void run() {
    auto& context = reactor().context();
    context.restart();
    context.poll();
    char buffer[65536];
    for (ssize_t got; listening && (got = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      heard.append(buffer, static_cast<std::size_t>(got));
  }

  Owner owner;
  bool listening = true;  // the client reads
  std::string heard;

 private:
  int socket_;
};

// Gives the bytes in pieces of `step`, and reads what comes back.
inline void talk(std::string_view bytes, std::size_t step) {
  Conversation with;
  while (!bytes.empty() && with.owner.connection) {
    const auto piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    if (!with.send(piece)) break;
    with.owner.connection->time_out();  // deadlines pass at any moment
    with.run();
  }
}

// Frames out of an input, which need not guess lengths: type, flags, stream, two bytes of length, payload.
inline std::string http2_frames(std::string_view rest) {
  std::string bytes;
  while (rest.size() > 7) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
    const std::size_t wanted = static_cast<std::size_t>(byte(3)) << 8 | byte(4);
    const std::size_t length = std::min(wanted, rest.size() - 5);
    bytes += {'\0',
              static_cast<char>(length >> 8),
              static_cast<char>(length & 0xff),
              rest[0],
              rest[1],
              '\0',
              '\0',
              '\0',
              rest[2]};
    bytes += rest.substr(5, length);
    rest.remove_prefix(5 + length);
  }
  return bytes += rest;  // and what is no frame
}

}  // namespace belfry::fuzz
