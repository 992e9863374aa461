// Connections over TLS whose client does not keep to the usual order.

#include "net/certificate.h"
#include "net/http2_by_hand.h"
#include "net/server_fixture.h"
#include "net/tls_peer.h"

namespace belfry::net {
namespace {

constexpr std::string_view kHttp2("\x02h2", 3);
std::string ask_http2(std::string_view path) { return by_hand::hello() + by_hand::get(path); }

struct TlsConnection : ServerTest<SystemClock> {
  static HttpServerOptions with_tls() {
    HttpServerOptions options;
    options.look_around = Duration{5};
    const auto pair = make_certificate({"localhost"}, SystemClock().wall(), 2).value();
    options.tls = TlsContext::from_pem(pair.certificate, pair.key).value();
    return options;
  }
  TlsConnection() : ServerTest(with_tls()) {}

  // Carries bytes both ways until the condition holds.
  template <class Condition>
  void talk(Peer& peer, TlsPeer& tls, Condition condition) {
    const timeval soon{0, 2000};
    ::setsockopt(peer.socket, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    const Instant end = SystemClock().now() + std::chrono::seconds(10);
    char buffer[65536];
    while (!on_loop(condition) && SystemClock().now() < end) {
      tls.take({});
      const std::string out = tls.give();
      if (!out.empty()) peer.send(out);
      const ssize_t got = ::recv(peer.socket, buffer, sizeof buffer, 0);
      if (got > 0) tls.take({buffer, static_cast<std::size_t>(got)});
    }
    ASSERT_TRUE(on_loop(condition));
  }
  void open_stream(Peer& peer, TlsPeer& tls, const std::string& request) {
    talk(peer, tls, [&] { return tls.done(); });
    tls.write(request);
    talk(peer, tls, [this] { return echo.streams.size() == 1; });
  }
  // After a close_notify, bytes that mean nothing and bytes that meant something once.
  void go_on_after_the_end(Peer& peer, TlsPeer& tls) {
    tls.close_notify();
    peer.send(tls.give());
    settle();
    for (const char* more : {"\x17\x03\x03\x00\x01x", "\x16\x03\x01\x00\x01x", "x"}) {
      peer.send(more);
      settle();
    }
  }
};

TEST_F(TlsConnection, BytesAfterACloseNotifyMeanNothingOverHttp2) {
  Peer peer(server->port());
  TlsPeer tls(kHttp2);
  open_stream(peer, tls, ask_http2("/stream"));
  go_on_after_the_end(peer, tls);
  EXPECT_EQ(on_loop([this] { return echo.closed; }), 0) << "the client may still listen";
  const std::string_view piece = "still there";
  on_loop([&] { return echo.streams[0]->write({&piece, 1}).pieces; });
  talk(peer, tls, [&] { return tls.heard().find("still there") != std::string::npos; });
  on_loop([this] { return echo.streams[0]->close(), 0; });
  wait_for([this] { return echo.closed == 1; });
}

TEST_F(TlsConnection, BytesAfterACloseNotifyMeanNothingOverHttp1) {
  Peer peer(server->port());
  TlsPeer tls({});
  open_stream(peer, tls, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  go_on_after_the_end(peer, tls);
  EXPECT_EQ(on_loop([this] { return echo.closed; }), 0) << "the client may still listen";
  on_loop([this] { return echo.streams[0]->close(), 0; });
  ::shutdown(peer.socket, SHUT_RDWR);
  wait_for([this] { return echo.closed == 1; });
}

TEST_F(TlsConnection, WhoWillAskNothingMoreIsLetGo) {
  for (const std::string_view protocols : {std::string_view(), kHttp2}) {
    Peer peer(server->port());
    TlsPeer tls(protocols);
    talk(peer, tls, [&] { return tls.done(); });
    go_on_after_the_end(peer, tls);
    const timeval patience{5, 0};
    ::setsockopt(peer.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char buffer[65536];
    ssize_t got = 0;
    while ((got = ::recv(peer.socket, buffer, sizeof buffer, 0)) > 0) {
    }
    EXPECT_EQ(got, 0) << "the end, not a time-out";
  }
}

TEST_F(TlsConnection, ARequestBeforeTheCloseNotifyIsAnswered) {
  Peer peer(server->port());
  TlsPeer tls({});
  talk(peer, tls, [&] { return tls.done(); });
  tls.write("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  tls.close_notify();
  talk(peer, tls, [this] { return echo.held != nullptr; });
  settle();
  on_loop([this] { return echo.held->respond({200, {}, "late"}), 0; });
  talk(peer, tls, [&] { return tls.heard().find("late") != std::string::npos; });
  EXPECT_NE(tls.heard().find("Connection: close"), std::string::npos);
}

TEST_F(TlsConnection, AllRequestsBeforeTheCloseNotifyAreAnswered) {
  for (const bool deferred : {false, true}) {
    on_loop([this] { return echo.held = nullptr, 0; });
    Peer peer(server->port());
    TlsPeer tls({});
    talk(peer, tls, [&] { return tls.done(); });
    std::string asks = deferred ? "GET /later HTTP/1.1\r\nHost: h\r\n\r\n" : "";
    for (int i = 0; i < 50; ++i) asks += "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
    tls.write(asks + "GET /end HTTP/1.1\r\nHost: h\r\n\r\n");
    tls.close_notify();
    peer.send(tls.give());
    if (deferred) {
      wait_for([this] { return echo.held != nullptr; });
      settle();
      on_loop([this] { return echo.held->respond({200, {}, "late"}), 0; });
    }
    talk(peer, tls, [&] { return tls.heard().ends_with("GET /end "); });
    EXPECT_GT(tls.heard().size(), 50 * Echo::large_bytes);
  }
}

TEST_F(TlsConnection, NewKeysLeaveTheStreamAsItIs) {
  Peer peer(server->port());
  TlsPeer tls(kHttp2);
  open_stream(peer, tls, ask_http2("/stream"));
  for (int i = 0; i < 5; ++i) {
    tls.update_keys();
    peer.send(tls.give());
    settle();
  }
  const std::string_view piece = "goes on";
  on_loop([&] { return echo.streams[0]->write({&piece, 1}).pieces; });
  talk(peer, tls, [&] { return tls.heard().find("goes on") != std::string::npos; });
}

// The refusal is a warning (RFC 5246 section 7.2.2), at which OpenSSL's client gives up.
TEST_F(TlsConnection, RenegotiationIsRefusedAndEndsNothingElse) {
  Peer peer(server->port());
  TlsPeer tls(kHttp2, TLS1_2_VERSION);
  open_stream(peer, tls, ask_http2("/stream"));
  tls.renegotiate();
  talk(peer, tls, [this] { return echo.closed == 1; });
  Peer other(server->port());
  TlsPeer again(kHttp2, TLS1_2_VERSION);
  talk(other, again, [&] { return again.done(); });
}

// Exchanges that are open when the server goes: whoever holds them hears of it.
TEST_F(TlsConnection, StreamsHearOfTheServersEnd) {
  Peer peer(server->port()), other(server->port());
  TlsPeer tls(kHttp2), plain({});
  open_stream(peer, tls, ask_http2("/stream"));
  talk(other, plain, [&] { return plain.done(); });
  plain.write("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  talk(other, plain, [this] { return echo.held != nullptr; });
  loop.stop();
  thread.join();
  server.reset();
  EXPECT_EQ(echo.closed, 2);
  thread = std::thread([] {});
}

}  // namespace
}  // namespace belfry::net
