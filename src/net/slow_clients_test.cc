// Threat 31: clients that are slow on purpose. Time is the test's.

#include "net/certificate.h"
#include "net/http2_by_hand.h"
#include "net/server_fixture.h"

namespace belfry::net {
namespace {

using std::chrono::seconds;

HttpServerOptions quick() {
  HttpServerOptions options;
  options.look_around = Duration{5};
  return options;
}

struct SlowClients : ServerTest<ManualClock> {
  SlowClients() : ServerTest(quick()) {}
  explicit SlowClients(HttpServerOptions options) : ServerTest(std::move(options)) {}

  // What comes until the server closes, if it does so between these two moments.
  std::string ends_between(Peer& peer, seconds early, seconds late) {
    wait_for([this] { return server->connections() == 1; });
    settle();
    clock.advance(early);
    std::this_thread::sleep_for(Duration{30});  // several looks around
    EXPECT_EQ(on_loop([this] { return server->connections(); }), 1u) << "not yet";
    clock.advance(late - early);
    std::string all = peer.to_end();
    EXPECT_TRUE(peer.ended) << "not in time";
    settle();
    clock.advance(seconds(3));  // the time to linger
    wait_for([this] { return server->connections() == 0; });
    return all;
  }
  // Sends these, one after the other, over this time.
  void dribble(Peer& peer, const std::vector<std::string>& pieces, seconds time) {
    wait_for([this] { return server->connections() == 1; });
    for (const std::string& piece : pieces) {
      peer.send(piece);
      settle();
      clock.advance(std::chrono::duration_cast<Duration>(time) / pieces.size());
    }
  }
  // A stream whose window stays shut, and that has something for it.
  void begin_what_is_not_taken(Peer& peer) {
    peer.send(by_hand::hello(by_hand::initial_window(0)) + by_hand::get("/stream"));
    wait_for([this] { return echo.streams.size() == 1; });
    on_loop([this] {
      const std::string_view piece = "never taken";
      return echo.streams[0]->write({&piece, 1}).pieces;
    });
  }
  // Byte by byte until shortly before the time is over. Gives what comes until the server closes, which it
  // does a little later, however new the newest byte is.
  std::string dribbled(Peer& peer, std::string_view bytes, seconds time) {
    std::vector<std::string> pieces;
    for (const char byte : bytes) pieces.emplace_back(1, byte);
    dribble(peer, pieces, time - seconds(1));
    return ends_between(peer, seconds(0), seconds(2));
  }
};

TEST_F(SlowClients, NoHead) {
  Peer peer(server->port());
  EXPECT_EQ(ends_between(peer, seconds(9), seconds(11)), "");
}

TEST_F(SlowClients, HalfAHead) {
  Peer peer(server->port());
  peer.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(ends_between(peer, seconds(9), seconds(11)).substr(0, 12), "HTTP/1.1 408");
}

TEST_F(SlowClients, HalfABody) {
  Peer peer(server->port());
  peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  EXPECT_EQ(ends_between(peer, seconds(29), seconds(31)).substr(0, 12), "HTTP/1.1 408");
}

// A byte more puts nothing off.
TEST_F(SlowClients, AHeadByteByByte) {
  Peer peer(server->port());
  EXPECT_EQ(dribbled(peer, "GET / HTTP/1.1\r\nHost: h", seconds(10)).substr(0, 12), "HTTP/1.1 408");
}

TEST_F(SlowClients, ABodyByteByByte) {
  Peer peer(server->port());
  peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
  EXPECT_EQ(dribbled(peer, "one after the other", seconds(30)).substr(0, 12), "HTTP/1.1 408");
}

TEST_F(SlowClients, ChunksByteByByte) {
  Peer peer(server->port());
  peer.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(dribbled(peer, "3\r\nabc\r\n4\r\nabcd\r\n5\r\nab", seconds(30)).substr(0, 12), "HTTP/1.1 408");
}

TEST_F(SlowClients, AnHttp2PrefaceByteByByte) {
  Peer peer(server->port());
  EXPECT_EQ(dribbled(peer, by_hand::hello().substr(0, 20), seconds(10)), "");
}

TEST_F(SlowClients, TheSettingsOfAnHttp2PrefaceByteByByte) {
  Peer peer(server->port());
  const std::string hello = by_hand::hello(by_hand::initial_window(7));
  peer.send(hello.substr(0, 24));
  settle();
  dribbled(peer, hello.substr(24, 12), seconds(10));
}

TEST_F(SlowClients, AnHttp2FrameByteByByteWhereNoStreamIsOpen) {
  Peer peer(server->port());
  peer.send(by_hand::hello());
  settle();
  dribbled(peer, by_hand::frame(by_hand::ping, 0, 0, "12345678").substr(0, 16), seconds(75));
}

TEST_F(SlowClients, AWholeFrameKeepsAnHttp2Connection) {
  Peer peer(server->port());
  peer.send(by_hand::hello());
  settle();
  for (int i = 0; i < 3; ++i) {
    clock.advance(seconds(50));
    peer.send(by_hand::frame(by_hand::window_update, 0, 0, by_hand::number(1)));
    settle();
    std::this_thread::sleep_for(Duration{30});  // several looks around
  }
  EXPECT_EQ(on_loop([this] { return server->connections(); }), 1u);
  ends_between(peer, seconds(74), seconds(76));
}

// The stream alone is over.
TEST_F(SlowClients, AnHttp2HeadPieceByPiece) {
  Peer peer(server->port());
  const std::string field = by_hand::block({{":method", "GET"}});
  std::vector<std::string> pieces{by_hand::hello() + by_hand::frame(by_hand::headers, 0, 1, field)};
  for (const char* name : {"a", "b", "c", "d", "e", "f"})
    pieces.push_back(by_hand::frame(by_hand::continuation, 0, 1, by_hand::block({{name, "x"}})));
  dribble(peer, pieces, seconds(9));
  clock.advance(seconds(2));
  EXPECT_NE(peer.until(by_hand::reset(1)).find(by_hand::reset(1)), std::string::npos);
}

TEST_F(SlowClients, AnHttp2BodyByteByByte) {
  Peer peer(server->port());
  std::vector<std::string> pieces{by_hand::hello() + by_hand::post("/a")};
  for (int i = 0; i < 20; ++i) pieces.push_back(by_hand::frame(by_hand::data, 0, 1, "x"));
  dribble(peer, pieces, seconds(29));
  clock.advance(seconds(2));
  EXPECT_NE(peer.until(by_hand::reset(1)).find(by_hand::reset(1)), std::string::npos);
}

TEST_F(SlowClients, NothingAfterAnAnswer) {
  Peer peer(server->port());
  peer.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.until("GET /a");
  EXPECT_EQ(ends_between(peer, seconds(74), seconds(76)), "");
}

TEST_F(SlowClients, HalfAnHttp2Preface) {
  Peer peer(server->port());
  peer.send(by_hand::hello().substr(0, 10));
  EXPECT_EQ(ends_between(peer, seconds(9), seconds(11)), "");
}

TEST_F(SlowClients, Http2WithoutARequest) {
  Peer peer(server->port());
  peer.send(by_hand::hello());
  EXPECT_NE(ends_between(peer, seconds(74), seconds(76)), "");
}

TEST_F(SlowClients, AnHttp2StreamWhoseWindowStaysShut) {
  Peer peer(server->port());
  begin_what_is_not_taken(peer);
  settle();
  clock.advance(seconds(19));
  std::this_thread::sleep_for(Duration{30});
  EXPECT_EQ(on_loop([this] { return echo.closed; }), 0);
  clock.advance(seconds(2));
  wait_for([this] { return echo.closed == 1; });
}

// Whatever else the client sends meanwhile.
TEST_F(SlowClients, APingDoesNotPutOffTheDeadlinesOfStreams) {
  Peer peer(server->port());
  begin_what_is_not_taken(peer);
  for (int i = 0; i < 50; ++i) {
    peer.send(by_hand::frame(by_hand::ping, 0, 0, "12345678"));
    settle();
    clock.advance(Duration{500});
    std::this_thread::sleep_for(Duration{6});  // a look around
  }
  wait_for([this] { return echo.closed == 1; });
}

TEST_F(SlowClients, AReaderWhoTakesNothing) {
  Peer peer(server->port());
  peer.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.streams.size() == 1; });
  const std::string large(24'000'000, 'x');  // more than the kernel holds
  on_loop([&] {
    const std::string_view piece = large;
    return echo.streams[0]->write({&piece, 1}).pieces;
  });
  // Until the kernel's buffers are full, and no byte more is taken.
  std::uint64_t sent = 0;
  for (int quiet = 0; quiet < 20; ++quiet) {
    std::this_thread::sleep_for(Duration{20});
    const std::uint64_t now = on_loop([this] { return server->counts().bytes_sent; });
    if (std::exchange(sent, now) != now) quiet = 0;
  }
  ASSERT_LT(sent, large.size());
  clock.advance(seconds(59));
  std::this_thread::sleep_for(Duration{30});
  EXPECT_EQ(on_loop([this] { return echo.closed; }), 0);
  clock.advance(seconds(2));
  wait_for([this] { return echo.closed == 1; });
}

struct SlowTls : SlowClients {
  static HttpServerOptions with_tls() {
    HttpServerOptions options = quick();
    const auto pair = make_certificate({"localhost"}, SystemClock().wall(), 2).value();
    options.tls = TlsContext::from_pem(pair.certificate, pair.key).value();
    return options;
  }
  SlowTls() : SlowClients(with_tls()) {}
};

TEST_F(SlowTls, HalfAHandshake) {
  Peer peer(server->port());
  peer.send(std::string_view("\x16\x03\x01", 3));
  EXPECT_EQ(ends_between(peer, seconds(4), seconds(6)), "");
}

TEST_F(SlowTls, AHandshakeByteByByte) {
  Peer peer(server->port());
  const std::string_view hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03random", 17);
  EXPECT_EQ(dribbled(peer, hello, seconds(5)), "");
}

TEST_F(SlowTls, NoTlsAtAll) {
  Peer peer(server->port());
  peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(peer.to_end().find("HTTP"), std::string::npos);
}

}  // namespace
}  // namespace belfry::net
