// What all connections hold together: a stranger who holds little does not wait for others to go.

#include "net/connection_budget.h"

#include <deque>

#include "net/http2_by_hand.h"
#include "net/server_fixture.h"

namespace belfry::net {
namespace {

using namespace by_hand;
using Bytes = ConnectionBudget::Bytes;

struct OfEither : ::testing::TestWithParam<Bytes> {
  OfEither() { budget.set_bytes_max(1'000'000); }
  ConnectionBudget budget{10, 10};
};

TEST_P(OfEither, WhoHoldsLessThanAnEvenShareMayHoldMore) {
  BytesLease modest(&budget, GetParam());
  {
    BytesLease greedy(&budget, GetParam());
    EXPECT_TRUE(greedy.set(900'000));
    EXPECT_TRUE(modest.set(90'000));
    EXPECT_EQ(greedy.too_much(), 0u) << "all of it is within the bound";
    EXPECT_TRUE(modest.set(500'000)) << "an even share";
    EXPECT_FALSE(modest.set(500'001));
    EXPECT_FALSE(greedy.set(900'001));
    EXPECT_EQ(greedy.too_much(), 900'000u);
    EXPECT_EQ(modest.too_much(), 0u);
    EXPECT_TRUE(greedy.set(890'000)) << "less is always possible";
    EXPECT_EQ(budget.bytes(GetParam()), 1'390'000u);
  }
  EXPECT_EQ(budget.bytes(GetParam()), 500'000u);
  EXPECT_FALSE(budget.is_over());
  EXPECT_TRUE(modest.set(1'000'000));
}

// The first holds all of it, the second a half, the third a third: that has no end by itself.
TEST_P(OfEither, TheSumStaysBelowTwiceTheBound) {
  std::deque<BytesLease> leases;
  std::size_t refused = 0;
  for (std::size_t i = 1; i <= 100; ++i)
    refused += !leases.emplace_back(&budget, GetParam()).set(1'000'000 / i);
  EXPECT_LT(budget.bytes(GetParam()), 2'000'000u);
  EXPECT_GT(refused, 0u);
  leases.clear();
  EXPECT_EQ(budget.bytes(GetParam()), 0u);
  BytesLease alone(&budget, GetParam());
  EXPECT_TRUE(alone.set(600'000));
  BytesLease other(&budget, GetParam());
  EXPECT_TRUE(other.set(500'000)) << "those who have gone, or were refused, are no holders";
}

// Whatever others hold.
TEST_P(OfEither, ASmallRequestIsNeverRefused) {
  std::deque<BytesLease> leases;
  for (std::size_t i = 1; i <= 100; ++i) leases.emplace_back(&budget, GetParam()).set(1'000'000 / i);
  BytesLease stranger(&budget, GetParam());
  EXPECT_TRUE(stranger.set(ConnectionBudget::small));
  EXPECT_FALSE(stranger.set(ConnectionBudget::small + 10'000));
  EXPECT_EQ(stranger.too_much(), 0u);
  budget.set_bytes_max(1000);
  EXPECT_EQ(stranger.too_much(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Of, OfEither, ::testing::Values(Bytes::requests, Bytes::answers));

TEST(LeasePart, GivesBackItsOwn) {
  ConnectionBudget budget(10, 10);
  BytesLease lease(&budget, Bytes::requests);
  LeasePart one(lease);
  EXPECT_TRUE(one.grow(10));
  {
    LeasePart other(lease);
    EXPECT_TRUE(other.grow(100));
    other.shrink_to(50);
    EXPECT_EQ(lease.held(), 60u);
  }
  EXPECT_EQ(lease.held(), 10u);
  EXPECT_EQ(budget.bytes(Bytes::requests), 10u);
}

// Three connections that each hold half a request and send no more.
struct Hoarders : ServerTest<SystemClock> {
  static constexpr std::size_t each = 300'000;
  ConnectionBudget budget{100, 100};
  std::vector<std::unique_ptr<Peer>> peers;

  Hoarders() : ServerTest(Later{}) {}
  ~Hoarders() override {
    loop.stop();
    if (thread.joinable()) thread.join();
    thread = std::thread([] {});
    server.reset();  // before the budget
  }
  void begin(Duration look_around, std::size_t count = 3) {
    HttpServerOptions options;
    options.budget = &budget;
    options.look_around = look_around;
    start(std::move(options));
    for (std::size_t i = 0; i < count; ++i) {
      peers.push_back(std::make_unique<Peer>(server->port()));
      peers.back()->send("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n");
      peers.back()->send(std::string(each + i * 10'000, 'x'));
    }
    wait_for([=, this] { return budget.bytes(Bytes::requests) >= count * each + (count > 2 ? 30'000 : 0); });
  }
};

TEST_F(Hoarders, DoNotKeepAStrangerFromBeingServed) {
  begin(Duration{3'600'000});
  budget.set_bytes_max(budget.bytes(Bytes::requests));
  Peer stranger(server->port());
  stranger.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'y'));
  EXPECT_NE(stranger.until("POST /x yyy").find("200 OK"), std::string::npos);
  Peer other(server->port());
  other.send(hello() + get("/y"));
  EXPECT_NE(other.until("GET /y").find("GET /y"), std::string::npos);
  EXPECT_EQ(on_loop([this] { return server->connections(); }), 5u);
}

TEST_F(Hoarders, AreLetGoTheLargestFirstUntilThereIsRoom) {
  begin(Duration{5});
  budget.set_bytes_max(2 * each + 30'000);
  EXPECT_EQ(peers[2]->to_end(), "");
  EXPECT_TRUE(peers[2]->ended);
  budget.set_bytes_max(10 * each);
  for (std::size_t i = 0; i < 2; ++i) {
    peers[i]->send(std::string(400'000 - each - i * 10'000, 'x'));
    EXPECT_NE(peers[i]->until("POST /b xxx").find("200 OK"), std::string::npos) << i;
  }
  wait_for([this] { return budget.bytes(Bytes::requests) == 0 && server->connections() == 2; });
}

TEST_F(Hoarders, OfAnswersAreLetGoToo) {
  begin(Duration{5}, 0);
  Peer shut(server->port());
  shut.send(hello(initial_window(0)) + get("/large"));
  wait_for([this] { return budget.unread() >= Echo::large_bytes; });
  Peer plain(server->port(), 4096);
  plain.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.streams.size() == 1; });
  const std::string much(8'000'000, 'm');  // a socket takes half of it at most
  on_loop([&, piece = std::string_view(much)] { return echo.streams[0]->write({&piece, 1}).pieces; });
  EXPECT_GT(budget.unread(), 3 * Echo::large_bytes);
  budget.set_bytes_max(100);
  wait_for([this] { return server->connections() == 0 && budget.unread() == 0; });
}

// Of messages that are not whole, over either version of HTTP.
struct Tunnels : Hoarders {
  std::size_t held() const { return budget.bytes(Bytes::requests); }
  bool keep(std::size_t which, std::size_t bytes) {
    return on_loop([=, this] { return echo.streams[which]->keep(bytes); });
  }
  // Over HTTP/2: two of one connection.
  void open(Peer& peer, bool over_http2) {
    const std::size_t before = on_loop([this] { return echo.streams.size(); });
    peer.send(over_http2 ? hello() + connect_websocket("/tunnel", 1) + connect_websocket("/tunnel", 3)
                         : "GET /tunnel HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for([&] { return echo.streams.size() == before + (over_http2 ? 2 : 1) && held() == 0; });
  }
};

TEST_F(Tunnels, WhatTheyKeepIsCountedUntilTheyEnd) {
  begin(Duration{3'600'000}, 0);
  auto plain = std::make_unique<Peer>(server->port()), http2 = std::make_unique<Peer>(server->port());
  open(*plain, false);
  open(*http2, true);
  EXPECT_TRUE(keep(0, 10'000) && keep(1, 20'000) && keep(2, 40'000));
  EXPECT_EQ(held(), 70'000u);
  EXPECT_TRUE(keep(0, 5'000) && keep(1, 0));
  EXPECT_EQ(held(), 45'000u);
  EXPECT_TRUE(keep(1, 30'000));
  budget.set_bytes_max(75'000);
  EXPECT_FALSE(keep(0, 50'000)) << "more than half of what two connections may hold";
  EXPECT_FALSE(keep(2, 50'000));
  EXPECT_EQ(held(), 75'000u);
  http2->send(reset(1));
  wait_for([this] { return held() == 45'000; });
  EXPECT_TRUE(keep(2, 41'000));
  http2.reset();
  wait_for([this] { return held() == 5'000; });
  plain.reset();
  wait_for([this] { return held() == 0; });
}

TEST_F(Tunnels, ThatKeepTooMuchAreLetGo) {
  begin(Duration{5}, 0);
  Peer plain(server->port()), modest(server->port()), http2(server->port());
  open(plain, false);
  open(modest, false);
  open(http2, true);
  EXPECT_TRUE(keep(0, 60'000) && keep(1, 10'000) && keep(2, 40'000) && keep(3, 40'000));
  budget.set_bytes_max(75'000);
  wait_for([this] { return server->connections() == 2; });
  (void)http2.to_end();
  EXPECT_TRUE(http2.ended) << "its two tunnels hold more than the other one";
  EXPECT_EQ(held(), 70'000u);
  budget.set_bytes_max(30'000);
  wait_for([this] { return server->connections() == 1; });
  EXPECT_EQ(held(), 10'000u);
}

}  // namespace
}  // namespace belfry::net
