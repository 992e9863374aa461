// Clients that ask and do not read: what they have not taken is bounded, for each and for all.

#include "net/certificate.h"
#include "net/http2_by_hand.h"
#include "net/server_fixture.h"
#include "net/tls_peer.h"

namespace belfry::net {
namespace {

constexpr std::size_t kMost = limits::unread_bytes_max + Echo::large_bytes + 16 * 1024;

std::string times(std::size_t count, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::size_t count_of(std::string_view needle, std::string_view text) {
  std::size_t count = 0;
  for (auto at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + 1)) ++count;
  return count;
}

using namespace by_hand;

std::string hello_with_shut_windows() { return hello(initial_window(0)); }

struct Unread : ServerTest<SystemClock> {
  ConnectionBudget budget{100, 100};
  static HttpServerOptions options_of(ConnectionBudget* budget, bool with_tls) {
    HttpServerOptions options;
    options.budget = budget;
    if (!with_tls) return options;
    const auto pair = make_certificate({"localhost"}, SystemClock().wall(), 2).value();
    options.tls = TlsContext::from_pem(pair.certificate, pair.key).value();
    return options;
  }
  explicit Unread(bool with_tls = false) : ServerTest(Later{}) { start(options_of(&budget, with_tls)); }
  ~Unread() override {
    loop.stop();
    if (thread.joinable()) thread.join();
    thread = std::thread([] {});
    server.reset();  // before the budget
  }
  std::uint64_t requests() {
    return on_loop([this] { return server->counts().requests; });
  }
};

TEST_F(Unread, PipelinedRequestsWaitUntilAnswersAreTaken) {
  Peer peer(server->port(), 4096);
  const std::string_view ask = "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::size_t total = 100;
  peer.send(times(total, ask));
  settle();
  EXPECT_LE(budget.unread(), kMost);
  EXPECT_LT(requests(), total / 2) << "what nobody reads was served";
  peer.send("GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string all = peer.to_end();
  EXPECT_EQ(count_of("HTTP/1.1 200", all), total + 1);
  EXPECT_EQ(count_of("x", all), total * Echo::large_bytes);
  wait_for([this] { return budget.unread() == 0; });
}

TEST_F(Unread, Http2RequestsWaitUntilAnswersAreTaken) {
  Peer peer(server->port());
  std::string asks = hello_with_shut_windows();
  const unsigned total = 90;
  for (unsigned i = 0; i < total; ++i) asks += get("/large", 1 + 2 * i);
  peer.send(asks);
  wait_for([this] { return server->counts().requests > 0; });
  settle();
  EXPECT_LE(budget.unread(), kMost);
  EXPECT_LE(requests() * Echo::large_bytes, kMost);
  // The windows open: all of them are answered, in the end.
  peer.send(frame(settings, 0, 0, initial_window(1 << 30)) + frame(window_update, 0, 0, number(1 << 30)));
  std::size_t got = 0;
  char buffer[65536];
  for (ssize_t more; got < total * Echo::large_bytes &&
                     (more = ::recv(peer.socket, buffer, sizeof buffer, 0)) > 0;)
    got += count_of("x", {buffer, static_cast<std::size_t>(more)});
  EXPECT_EQ(got, total * Echo::large_bytes);
  EXPECT_EQ(requests(), total);
}

// What is reset need not be taken any more.
TEST_F(Unread, Http2ResetsGiveTheirRoomBack) {
  Peer peer(server->port());
  std::string hello = hello_with_shut_windows();
  for (unsigned i = 0; i < 20; ++i) hello += get("/large", 1 + 2 * i);
  peer.send(hello);
  wait_for([this] { return server->counts().requests >= 3; });
  settle();
  EXPECT_LT(requests(), 20u);
  for (unsigned i = 0; i < 20; ++i) {
    peer.send(frame(reset_stream, 0, 1 + 2 * i, number(8)));
    settle();
  }
  wait_for([this] { return budget.unread() == 0; });
  peer.send(get("/large", 101));
  wait_for([this] { return budget.unread() > 0; });
}

// What comes for a WebSocket that waits for its turn is bounded.
TEST_F(Unread, Http2TunnelsThatWaitAreBounded) {
  Peer peer(server->port());
  std::string asks = hello_with_shut_windows();
  for (unsigned i = 0; i < 8; ++i) asks += get("/large", 1 + 2 * i);
  asks += connect_websocket("/stream", 101);
  peer.send(asks);
  wait_for([this] { return server->counts().requests >= 3; });
  const std::string some = frame(data, 0, 101, std::string(0x2000, 'd'));
  for (int i = 0; i < 7; ++i) peer.send(some);  // the window of a stream, which opens as it is taken
  settle();
  for (int i = 0; i < 7; ++i) peer.send(some);
  const std::string calm = frame(reset_stream, 0, 101, number(11));
  EXPECT_NE(peer.until(calm).find(calm), std::string::npos);
}

// Requests that were served already are answered whatever the client takes, up to a bound.
TEST_F(Unread, Http2AnswersBeyondTheHardBoundAreNotGiven) {
  Peer peer(server->port());
  const unsigned total = 40;
  std::string asks = hello_with_shut_windows();
  for (unsigned i = 0; i < total; ++i) asks += get("/wait", 1 + 2 * i);
  peer.send(asks);
  wait_for([this] { return echo.streams.size() == total; });
  on_loop([this] {
    for (Exchange* one : echo.streams) one->respond({200, {}, std::string(1'000'000, 'x')});
    return 0;
  });
  wait_for([this] { return budget.unread() > limits::unread_bytes_hard / 2; });
  EXPECT_LE(budget.unread(), limits::unread_bytes_hard);
  const std::string calm = std::string("\0\0\4\3\0", 5);  // RST_STREAM
  EXPECT_EQ(count_of(calm, peer.until(frame(reset_stream, 0, 2 * total - 1, number(11)))),
            total - limits::unread_bytes_hard / 1'000'000);
}

struct UnreadTls : Unread {
  UnreadTls() : Unread(true) {}
};

// What OpenSSL answers by itself counts too.
TEST_F(UnreadTls, AClientThatReadsNothingIsNotReadFrom) {
  Peer peer(server->port(), 4096);
  TlsPeer tls({});
  char buffer[65536];
  while (!tls.done()) {
    tls.take({});
    peer.send(tls.give());
    if (const ssize_t got = ::recv(peer.socket, buffer, sizeof buffer, 0); got > 0)
      tls.take({buffer, static_cast<std::size_t>(got)});
  }
  const int dont_wait = MSG_DONTWAIT | MSG_NOSIGNAL;
  for (int i = 0; i < 200; ++i) {
    tls.write(times(50, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"));
    tls.update_keys();
    const std::string out = tls.give();
    if (::send(peer.socket, out.data(), out.size(), dont_wait) < static_cast<ssize_t>(out.size())) break;
    settle();
  }
  EXPECT_LE(budget.unread(), kMost);
}

// Over the bound of all, who holds most has to go, and a stranger who holds little goes on.
TEST_F(Unread, WhoHoldsMostGoesFirst) {
  budget.set_bytes_max(4 * Echo::large_bytes);
  Peer stranger(server->port(), 4096);
  stranger.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.streams.size() == 1; });
  std::vector<std::unique_ptr<Peer>> hoarders;
  std::string asks = hello_with_shut_windows();
  for (unsigned i = 0; i < 8; ++i) asks += get("/large", 1 + 2 * i);
  for (int i = 0; i < 8; ++i) {
    hoarders.push_back(std::make_unique<Peer>(server->port()));
    hoarders.back()->send(asks);
    settle();
  }
  EXPECT_LE(budget.unread(), 4 * Echo::large_bytes);
  EXPECT_GT(budget.unread(), 2 * Echo::large_bytes) << "the first has room for its answers";
  for (std::size_t i = 1; i < hoarders.size(); ++i) {
    hoarders[i]->to_end();
    EXPECT_TRUE(hoarders[i]->ended);
  }
  const std::string_view piece = "for the stranger";
  EXPECT_EQ(on_loop([&] { return echo.streams[0]->write({&piece, 1}).pieces; }), 1u);
  EXPECT_NE(stranger.until(piece).find(piece), std::string::npos);
}

}  // namespace
}  // namespace belfry::net
