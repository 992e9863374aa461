// Nobody holds a shard's loop for longer than its budget in a turn, and users take turns.

#include "hub/hub_fixture.h"

namespace belfry {
namespace {

// What the clients of a test were given, one after the other: the client's number.
struct Crowd : HubTest {
  struct Client : Outlet {
    Crowd* crowd = nullptr;
    std::size_t number = 0;
    std::vector<Offset> got;
    int writes = 0;

    Written write(std::span<const Entry* const> entries, Offset) override {
      ++writes;
      crowd->order.push_back(number);
      for (const Entry* entry : entries) got.push_back(entry->event().offset);
      return {entries.size(), OutletState::open};
    }
    Written reset(const Reset&) override { return {1, OutletState::open}; }
    OutletState caught_up(Offset) override { return OutletState::open; }
    OutletState heartbeat(Offset, std::uint64_t) override { return beat; }
    void end(Code) override {}
    OutletState beat = OutletState::open;
  };
  std::deque<Client> clients;
  std::vector<std::size_t> order;  // of writes, by the client's number

  SessionId join(std::uint64_t user, Offset position) {
    Client& client = clients.emplace_back();
    client.crowd = this;
    client.number = clients.size() - 1;
    Attach wish;
    wish.selectors = {{"a", {}}};
    wish.position = position;
    wish.credential.user = user;
    return shard->attach(client, wish, clock.now());
  }
  // Events of "a" that the shard has seen.
  void history(int events) {
    for (int i = 0; i < events; ++i) publish("a");
    turn();
  }
  std::vector<Offset> all() const {
    std::vector<Offset> out;
    for (Offset offset = 1; offset <= log->tail().head(); ++offset) out.push_back(offset);
    return out;
  }
};

constexpr std::size_t kMany = 1000;

TEST_F(Crowd, AStrangerIsServedInTheFirstTurnHoweverManyOneUserHas) {
  history(600);  // three writes each
  for (std::size_t i = 0; i < kMany; ++i) join(7, 0);
  join(8, 0);
  int turns = 0;
  do {
    ++turns;
    order.clear();
    const std::vector<Client> before(clients.begin(), clients.end());
    const bool more = shard->advance(clock.wall());
    EXPECT_GE(order.size(), 1u);
    for (std::size_t i = 0; i < clients.size(); ++i) ASSERT_LE(clients[i].writes - before[i].writes, 1);
    EXPECT_EQ(clients[kMany].writes, std::min(turns, 3));
    if (!more) break;
  } while (turns < 10'000);
  EXPECT_GT(turns, 30);
  for (const Client& client : clients) ASSERT_EQ(client.got, all());
}

// Sessions of a backend have no user to share a place: each counts like a user.
TEST_F(Crowd, SessionsOfABackendTakeTurnsOneByOne) {
  history(300);
  for (std::size_t i = 0; i < kMany; ++i) join(7, 0);
  for (int i = 0; i < 30; ++i) join(0, 0);
  EXPECT_TRUE(shard->advance(clock.wall()));
  ASSERT_LT(order.size(), 60u) << "each of the two would have had half";
  for (std::size_t i = kMany; i < clients.size(); ++i) EXPECT_EQ(clients[i].writes, 1);
}

// By what they cost: a user with one event to get is not equal to one with a whole write.
TEST_F(Crowd, AUserWhoseSessionsCostMoreHasFewerOfThemServed) {
  history(300);
  for (std::size_t i = 0; i < kMany; ++i) join(7, 0);
  for (std::size_t i = 0; i < kMany; ++i) join(8, 299);
  EXPECT_TRUE(shard->advance(clock.wall()));
  std::size_t cheap = 0;
  for (const std::size_t number : order) cheap += number >= kMany ? 1 : 0;
  EXPECT_GT(cheap, 3 * (order.size() - cheap));
  EXPECT_LE(order.size(), limits::turn_work_max / limits::pump_work) << "a short write is a write";
}

TEST_F(Crowd, ALiveSessionGetsANewEventInTheTurnItComesBeforeThoseThatCatchUp) {
  join(1, 0);
  history(600);
  for (std::size_t i = 0; i < kMany; ++i) join(7, 0);
  bool more = shard->advance(clock.wall());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(more);
    publish("a");
    order.clear();
    more = shard->advance(clock.wall());
    EXPECT_EQ(clients[0].got.back(), log->tail().head());
    EXPECT_EQ(order.front(), 0u);
  }
  turn();
  for (const Client& client : clients) ASSERT_EQ(client.got, all());
}

TEST_F(Crowd, ATurnTakesABoundedNumberOfNewEventsAndWhoComesMeanwhileMissesAndDoublesNone) {
  const std::size_t crowd = 3 * kMany;  // so many that what a turn takes is one write for each
  for (std::size_t i = 0; i < crowd; ++i) join(7, 0);
  turn();
  const std::size_t many = 4 * limits::turn_news_max / crowd;
  for (std::size_t i = 0; i < many; ++i) publish("a");
  ASSERT_TRUE(shard->advance(clock.wall()));
  EXPECT_LT(shard->head(), log->tail().head());
  EXPECT_GT(shard->head(), 0u);
  join(8, log->tail().head());  // at a place that the shard has not reached
  join(9, 0);
  publish("a");
  turn();
  const auto everything = all();
  ASSERT_EQ(everything.size(), many + 1);
  for (const Client& client : clients)
    ASSERT_EQ(client.got, client.number == crowd ? std::vector<Offset>{many + 1} : everything);
}

// What is compared costs, too, where it leads to no delivery.
TEST_F(Crowd, ATurnEndsHoweverMuchIsComparedForWhomeverItIs) {
  Client client;
  client.crowd = this;
  Attach wish;
  // Any of nine segments may be anything, and the tenth is another.
  Selector& selector = wish.selectors.emplace_back(Selector{"a", {}});
  for (unsigned mask = 0; mask < 512; ++mask) {
    std::string type;
    for (unsigned bit = 0; bit < 9; ++bit) type += mask >> bit & 1 ? "+." : "m.";
    selector.types.push_back(type + "other");
  }
  shard->attach(client, wish, clock.now());
  turn();
  const std::size_t events = 3 * limits::turn_news_max * limits::news_work / selector.types.size();
  PublishRequest request;
  request.events.resize(events);
  for (Event& event : request.events) {
    event.topic = "a";
    event.type = "m.m.m.m.m.m.m.m.m.m";
  }
  ASSERT_TRUE(log->publish({&request, 1}, clock.wall())[0]);
  ASSERT_TRUE(shard->advance(clock.wall()));
  EXPECT_LT(shard->head(), events / 2);
  turn();
  EXPECT_EQ(shard->head(), events);
}

// As when the log-writer commits while a turn is at work: its wake-up is lost in the one that is under way.
TEST_F(Crowd, WhatComesWhileATurnIsAtWorkIsNotForgotten) {
  struct Late : Client {
    Written write(std::span<const Entry* const> entries, Offset position) override {
      if (got.empty()) crowd->publish("a");
      return Client::write(entries, position);
    }
  } late;
  late.crowd = this;
  Attach wish;
  wish.selectors = {{"a", {}}};
  shard->attach(late, wish, clock.now());
  turn();
  publish("a");
  EXPECT_TRUE(shard->advance(clock.wall()));
  turn();
  EXPECT_EQ(late.got, all());
}

// A session that stops and may go on while it waits for its turn does not wait in two places.
TEST_F(Crowd, WhoBecomesReadyTwiceIsWrittenToOnceATurn) {
  history(600);
  const SessionId id = join(7, 0);
  for (int i = 0; i < 5; ++i) {
    clients[0].beat = OutletState::blocked;
    clock.advance(limits::heartbeat_interval);
    shard->tick(clock.now(), clock.wall());
    shard->writable(id);
  }
  EXPECT_TRUE(shard->advance(clock.wall()));
  EXPECT_EQ(clients[0].writes, 1);
  turn();
  EXPECT_EQ(clients[0].got, all());
}

}  // namespace
}  // namespace belfry
