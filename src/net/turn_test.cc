// What one connection may have of a turn of the loop, while others wait for theirs.

#include <algorithm>

#include "net/certificate.h"
#include "net/http2_by_hand.h"
#include "net/server_fixture.h"
#include "net/tls_peer.h"

namespace belfry::net {
namespace {

// Writes down who was served, by the first letter after the slash; /tunnel opens a WebSocket.
struct Order : Handler, StreamEvents {
  std::string served;
  std::function<void()> at_first = [] {};
  Exchange* tunnel = nullptr;
  std::string heard;
  bool hold = false;
  int closed = 0;

  void on_request(Exchange& exchange) override {
    if (exchange.request().path == "/tunnel") {
      tunnel = &exchange;
      return exchange.upgrade({}, *this);
    }
    served += exchange.request().path.at(1);
    if (served.size() == 1) at_first();
    exchange.respond({200, {}, ""});
  }
  void on_writable() override {}
  void on_bytes(std::string_view bytes) override {
    heard += bytes;
    if (hold) tunnel->hold_input();
  }
  void on_closed() override { ++closed; }
};

struct Turns : ServerTest<SystemClock> {
  Order order;

  explicit Turns(bool with_tls = false) : ServerTest(Later{}) {
    HttpServerOptions options;
    if (with_tls) {
      const auto pair = make_certificate({"localhost"}, SystemClock().wall(), 2).value();
      options.tls = TlsContext::from_pem(pair.certificate, pair.key).value();
    }
    server = std::move(HttpServer::listen(loop, clock, std::move(options), order)).value();
    thread = std::thread([this] { loop.run(); });
  }
  ~Turns() override {
    loop.stop();
    if (thread.joinable()) thread.join();
    thread = std::thread([] {});
    server.reset();  // before the handler
  }
  // Everything that is sent meanwhile is there when the loop looks next.
  template <class Send>
  void at_once(Send send) {
    wait_for([this] { return server->connections() == 2; });
    settle();
    std::promise<void> waits, sent;
    loop.post([&waits, all = sent.get_future().share()] {
      waits.set_value();
      all.wait();
    });
    waits.get_future().wait();
    send();
    sent.set_value();
  }
  void wait_for_served(std::size_t count) {
    wait_for([this, count] { return order.served.size() == count; });
  }
  std::string served() {
    return on_loop([this] { return order.served; });
  }
  // `greedy` sends more as soon as it is served; both ask for as much, or `modest` for less.
  void expect_fair(std::string_view first, std::string_view more, std::string_view modest) {
    Peer greedy_peer(server->port()), modest_peer(server->port());
    order.at_first = [&] { greedy_peer.send(more); };
    at_once([&] {
      greedy_peer.send(first);
      modest_peer.send(modest);
    });
    wait_for_served(192);
    int ahead = 0, most = 0;
    std::size_t left = static_cast<std::size_t>(std::ranges::count(served(), 'b'));
    for (const char who : served()) {
      if (left == 0) break;
      who == 'a' ? ++ahead : (--ahead, --left);
      most = std::max(most, ahead);
    }
    EXPECT_LE(most, static_cast<int>(limits::requests_turn_max));
  }
};

std::string asks(std::string_view path, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  return out;
}

std::string http2_asks(std::string_view path, unsigned count) {
  std::string out = by_hand::hello();
  for (unsigned i = 0; i < count; ++i) out += by_hand::get(path, 1 + 2 * i);
  return out;
}

TEST_F(Turns, OfOneHttp1ConnectionServesSoManyRequests) {
  Peer many(server->port()), one(server->port());
  at_once([&] {
    many.send(asks("/a", 64));
    one.send(asks("/b", 1));
  });
  wait_for_served(65);
  EXPECT_LE(served().find('b'), limits::requests_turn_max);
}

TEST_F(Turns, OfOneHttp2ConnectionServesSoManyRequests) {
  Peer many(server->port()), one(server->port());
  at_once([&] {
    many.send(http2_asks("/a", 64));
    one.send(http2_asks("/b", 1));
  });
  wait_for_served(65);
  EXPECT_LE(served().find('b'), limits::requests_turn_max);
}

// What comes while a connection waits for its turn gives it no second one.
TEST_F(Turns, OfHttp1AreSharedEvenlyWhateverComesMeanwhile) {
  expect_fair(asks("/a", 64), asks("/a", 64), asks("/b", 64));
}

TEST_F(Turns, OfHttp2AreSharedEvenlyWhateverComesMeanwhile) {
  std::string more;
  for (unsigned i = 48; i < 96; ++i) more += by_hand::get("/a", 1 + 2 * i);
  expect_fair(http2_asks("/a", 48), more, http2_asks("/b", 96));
}

struct TurnsTls : Turns {
  TurnsTls() : Turns(true) {}
  static void shake_hands(Peer& peer, TlsPeer& tls) {
    char buffer[65536];
    while (!tls.done()) {
      tls.take({});
      peer.send(tls.give());
      if (tls.done()) break;
      const ssize_t got = ::recv(peer.socket, buffer, sizeof buffer, 0);
      ASSERT_GT(got, 0);
      tls.take({buffer, static_cast<std::size_t>(got)});
    }
    peer.send(tls.give());
  }
  void expect_turns(std::string_view protocol, const std::vector<std::string>& records) {
    Peer many(server->port()), one(server->port());
    TlsPeer many_tls(protocol), one_tls({});
    shake_hands(many, many_tls);
    shake_hands(one, one_tls);
    for (const std::string& record : records) many_tls.write(record);
    one_tls.write(asks("/b", 1));
    at_once([&] {
      many.send(many_tls.give());
      one.send(one_tls.give());
    });
    wait_for_served(65);
    EXPECT_LE(served().find('b'), limits::requests_turn_max);
  }
};

// A record for each request changes nothing.
TEST_F(TurnsTls, OfOneHttp1ConnectionServesSoManyRecords) {
  expect_turns({}, std::vector<std::string>(64, asks("/a", 1)));
}

TEST_F(TurnsTls, OfOneHttp2ConnectionServesSoManyRecords) {
  std::vector<std::string> records{by_hand::hello()};
  for (unsigned i = 0; i < 64; ++i) records.push_back(by_hand::get("/a", 1 + 2 * i));
  expect_turns("\x02h2", records);
}

const std::string upgrade =
    "GET /tunnel HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

TEST_F(Turns, AHeldHttp1TunnelIsNotReadUntilItsInputIsTaken) {
  auto peer = std::make_unique<Peer>(server->port());
  peer->send(upgrade);
  peer->until("\r\n\r\n");
  on_loop([this] { return order.hold = true; });
  const std::size_t total = 300'000;
  peer->send("x");
  wait_for([this] { return !order.heard.empty(); });
  peer->send(std::string(total - 1, 'x'));
  peer.reset();
  settle();
  EXPECT_LE(on_loop([this] { return order.heard.size(); }), 64u * 1024);
  EXPECT_EQ(on_loop([this] { return order.closed; }), 0) << "its end is behind what was not read";
  on_loop([this] {
    order.hold = false;
    order.tunnel->take_input();
    return 0;
  });
  wait_for([this] { return order.closed == 1; });
  EXPECT_EQ(order.heard.size(), total);
}

TEST_F(Turns, AHeldHttp2TunnelIsNotReadUntilItsInputIsTaken) {
  using namespace by_hand;
  Peer peer(server->port());
  peer.send(hello() + connect_websocket("/tunnel"));
  wait_for([this] { return order.tunnel != nullptr; });
  on_loop([this] { return order.hold = true; });
  peer.send(frame(data, end_stream, 1, "x"));
  wait_for([this] { return !order.heard.empty(); });
  peer.send(get("/b", 3));
  settle();
  EXPECT_EQ(served(), "") << "nothing of the connection is read";
  EXPECT_EQ(on_loop([this] { return order.closed; }), 0);
  on_loop([this] {
    order.tunnel->take_input();
    return 0;
  });
  wait_for([this] { return order.closed == 1 && order.served == "b"; });
}

// Whoever goes while it holds the input holds nothing any more.
TEST_F(Turns, AHeldHttp2TunnelThatIsClosedHoldsNothing) {
  using namespace by_hand;
  Peer peer(server->port());
  peer.send(hello(initial_window(0)) + connect_websocket("/tunnel"));
  wait_for([this] { return order.tunnel != nullptr; });
  on_loop([this] { return order.hold = true; });
  peer.send(frame(data, 0, 1, "x"));
  wait_for([this] { return !order.heard.empty(); });
  on_loop([this] {
    order.tunnel->write_control("what the window has no room for");
    order.tunnel->close();
    return 0;
  });
  peer.send(get("/b", 3) + frame(settings, 0, 0, initial_window(1000)));
  wait_for([this] { return order.closed == 1 && order.served == "b"; });
}

using Broadcasts = ServerTest<SystemClock>;

// What else there is to do does not wait until very many connections have been written to.
TEST_F(Broadcasts, OverHttp2GoOutToSomeConnectionsAtATime) {
  constexpr std::size_t count = limits::flushes_turn_max + 40;
  constexpr std::uint64_t frame_bytes = 10;  // with one byte
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < count; ++i) {
    peers.push_back(std::make_unique<Peer>(server->port()));
    peers.back()->send(by_hand::hello() + by_hand::get("/stream"));
  }
  wait_for([this] { return echo.streams.size() == count; });
  settle();
  std::uint64_t before = 0, amid = 0;
  on_loop([&] {
    before = server->counts().bytes_sent;
    const std::string_view piece = "x";
    for (Exchange* stream : echo.streams) stream->write({&piece, 1});
    loop.post([&] { amid = server->counts().bytes_sent; });
    return 0;
  });
  wait_for([&] { return server->counts().bytes_sent == before + count * frame_bytes; });
  EXPECT_EQ(amid, before + limits::flushes_turn_max * frame_bytes);
}

// Writes again whenever it may.
struct Writer : Echo {
  std::string piece = std::string(limits::http2_held_bytes, 'x');
  std::function<void()> at_first = [] {};

  void write() {
    const std::string_view view = piece;
    streams[0]->write({&view, 1});
  }
  void on_writable() override {
    if (++writable == 1) at_first();
    if (writable < 5) write();
  }
};

struct Rewrites : ServerTest<SystemClock> {
  Writer writer;
  Rewrites() : ServerTest(Later{}) {
    server = std::move(HttpServer::listen(loop, clock, {}, writer)).value();
    thread = std::thread([this] { loop.run(); });
  }
  ~Rewrites() override {
    loop.stop();
    thread.join();
    thread = std::thread([] {});
    server.reset();  // before the handler
  }
};

TEST_F(Rewrites, OverHttp2ComeAfterWhatElseThereIsToDo) {
  using namespace by_hand;
  Peer peer(server->port());
  peer.send(hello(initial_window(1 << 30)) + frame(window_update, 0, 0, number(1 << 29)) + get("/stream"));
  wait_for([this] { return writer.streams.size() == 1; });
  int between = 0;
  writer.at_first = [&] { loop.post([&] { between = writer.writable; }); };
  on_loop([this] {
    writer.write();
    return 0;
  });
  wait_for([this] { return writer.writable == 5; });
  EXPECT_EQ(between, 1);
}

}  // namespace
}  // namespace belfry::net
