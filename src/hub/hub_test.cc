#include "hub/hub_fixture.h"

namespace belfry {
namespace {

TEST_F(HubTest, ALiveSessionGetsWhatItAskedForAndNothingElse) {
  attach({{"a", {}}}, 0);
  turn();
  publish("a");
  publish("b");
  publish("a");
  turn();
  EXPECT_EQ(ana.story, "live@0 1 3 ");
}

TEST_F(HubTest, ReconnectingFromACursorReadsTheTailByTopic) {
  for (int i = 0; i < 3; ++i) {
    publish("a");
    publish("b");
  }
  attach({{"a", {}}}, 1);
  turn();
  EXPECT_EQ(ana.story, "3 5 live@6 ");
  EXPECT_EQ(shard->counts().pages, 0u);
}

TEST_F(HubTest, ABlockedSessionKeepsItsPlaceAndGoesOnFromIt) {
  const SessionId id = attach({{"a", {}}}, 0);
  turn();
  ana.room = 2;
  for (int i = 0; i < 5; ++i) publish("a");
  turn();
  EXPECT_EQ(shard->position(id), 2u);
  publish("a");
  turn();
  EXPECT_EQ(ana.story, "live@0 1 2 ");
  ana.room = 100;
  shard->writable(id);
  turn();
  EXPECT_EQ(ana.story, "live@0 1 2 3 4 5 6 live@6 ");
}

TEST_F(HubTest, WhoeverFellOutOfTheTailReadsTheStore) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish(i % 2 == 0 ? "a" : "b");
  attach({{"a", {}}}, 40);
  turn();
  EXPECT_EQ(ana.story, "");
  answer_pages();
  EXPECT_EQ(ana.story, "41 43 45 47 49 live@50 ");
  EXPECT_GE(shard->counts().pages, 1u);
}

TEST_F(HubTest, APageAskedForBeforeASubscriptionIsNotTaken) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish(i % 2 == 0 ? "a" : "b");
  const SessionId id = attach({{"a", {}}}, 40);
  turn();
  ASSERT_EQ(pages.waiting.size(), 1u);
  shard->subscribe(id, {{"b", {}}});
  answer_pages();
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "41 42 43 44 45 46 47 48 49 50 live@50 ");
}

// An answer belongs to one question: the page that was asked for before the stall is not the next one after
// it.
TEST_F(HubTest, AHeartbeatThatBlocksWhileAPageIsOnItsWayDoublesNothing) {
  open(2000);
  std::string expected;
  for (int i = 1; i <= 700; ++i) {
    publish("a");
    expected += std::to_string(i) + ' ';
  }
  const SessionId id = attach({{"a", {}}}, 0);
  turn();
  ana.beat_blocks = true;
  for (int i = 0; i < 3; ++i) {
    clock.advance(limits::heartbeat_interval);
    shard->tick(clock.now(), clock.wall());
    shard->writable(id);
    turn();
  }
  ana.story.clear();
  EXPECT_EQ(pages.waiting.size(), 1u);
  answer_pages();
  EXPECT_EQ(ana.story, expected + "live@700 ");
}

TEST_F(HubTest, TrimmedEventsAreSaidAloudOnce) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish("a");
  ASSERT_TRUE(store->trim(46, 1000));
  attach({{"a", {}}}, 40);
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "reset:horizon@40 47 48 49 50 live@50 ");
}

// What cannot be said now is said before anything else, never left out.
TEST_F(HubTest, AResetThatFindsNoRoomIsToldWhenThereIsSome) {
  publish("a");
  ana.room = 0;
  Attach wish{{{"a", {}}}, 0, false, ResetReason::lost, Timestamp{Duration::max()}};
  const SessionId id = shard->attach(ana, wish, clock.now());
  turn();
  EXPECT_EQ(ana.story, "");
  shard->writable(id);
  turn();
  EXPECT_EQ(ana.story, "");
  ana.room = 100;
  shard->writable(id);
  turn();
  EXPECT_EQ(ana.story, "reset:lost@0 1 live@1 ");
}

TEST_F(HubTest, ASliceOfTheTailIsBoundedInBytes) {
  for (int i = 0; i < 20; ++i) publish("a", "message", std::string(20'000, 'k'));
  for (const char* selector : {"a", "#"}) {
    ana.story.clear();
    ana.writes = 0;
    const SessionId id = attach({{selector, {}}}, 0);
    turn();
    EXPECT_EQ(ana.story, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 live@20 ");
    EXPECT_EQ(ana.writes, 5) << "four of 20,000 bytes are the first that are enough";
    shard->detach(id);
  }
}

// What retention took is said aloud wherever the session stands: in the store (above), in the tail, in a
// tail that was refilled after a restart, and live.
TEST_F(HubTest, WhatRetentionTookFromTheTailIsSaidAloudOnce) {
  for (int i = 0; i < 50; ++i) publish(i % 2 == 0 ? "a" : "b");
  keep(3);
  for (const char* selector : {"a", "#"}) {
    ana.story.clear();
    const SessionId id = attach({{selector, {}}}, 10);
    turn();
    EXPECT_EQ(ana.story, std::string("reset:horizon@10 ") +
                             (*selector == 'a' ? "45 47 49 live@50 " : "45 46 47 48 49 50 live@50 "));
    shard->detach(id);
  }
  EXPECT_EQ(shard->counts().pages, 0u);
  ana.story.clear();
  attach({{"a", {}}}, 43);
  turn();
  EXPECT_EQ(ana.story, "45 47 49 live@50 ") << "nothing of this topic is missing here";
  // What the lost events were is not known any more, so they may have been of any type.
  for (const char* selector : {"a", "+"}) {
    ana.story.clear();
    attach({{selector, {"other"}}}, 10);
    turn();
    EXPECT_EQ(ana.story, "reset:horizon@10 live@50 ");
  }
}

TEST_F(HubTest, WhatIsTooOldIsSaidAloudFromTheTailToo) {
  for (int i = 0; i < 10; ++i) publish("a");
  clock.advance(Duration{5000});
  publish("a");
  log->set_retention(Duration{3000}, {});
  ASSERT_TRUE(log->maintain(clock.wall()));
  attach({{"a", {}}}, 4);
  turn();
  EXPECT_EQ(ana.story, "reset:horizon@4 11 live@11 ");
}

TEST_F(HubTest, WhatRetentionTookIsSaidAloudAfterARestartToo) {
  for (int i = 0; i < 20; ++i) publish(i % 2 == 0 ? "a" : "b");
  log->set_retention({}, {{"a", {}, 3}});  // b's events stay, so that the tail reaches back beyond a's
  ASSERT_TRUE(log->maintain(clock.wall()));
  restart();
  for (const char* selector : {"a", "#"}) {
    ana.story.clear();
    const SessionId id = attach({{selector, {}}}, 10);
    turn();
    answer_pages();
    EXPECT_EQ(ana.story, std::string("reset:horizon@10 ") +
                             (*selector == 'a' ? "15 17 19 live@20 " : "12 14 15 16 17 18 19 20 live@20 "));
    shard->detach(id);
  }
  ana.story.clear();
  attach({{"a", {}}}, 14);
  attach({{"b", {}}}, 4);
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "15 17 19 live@20 6 8 10 12 14 16 18 20 live@20 ");
}

TEST_F(HubTest, WhoIsLiveOrBlockedIsToldWhatRetentionTookFirst) {
  Recorder bob;
  attach({{"a", {"x"}}}, 0);
  Attach wish;
  wish.selectors = {{"a", {}}};
  const SessionId blocked = shard->attach(bob, wish, clock.now());
  bob.room = 3;
  turn();
  for (int i = 0; i < 5; ++i) publish("a", "x");
  turn();
  for (int i = 0; i < 5; ++i) publish("a", "x");  // the shard has not looked yet
  keep(2);
  turn();
  EXPECT_EQ(ana.story, "live@0 1 2 3 4 5 reset:horizon@5 9 10 live@10 ");
  EXPECT_EQ(bob.story, "live@0 1 2 3 ");
  bob.room = 100;
  shard->writable(blocked);
  turn();
  EXPECT_EQ(bob.story, "live@0 1 2 3 reset:horizon@3 9 10 live@10 ");
  keep(1);
  publish("b");
  turn();
  EXPECT_EQ(bob.story, "live@0 1 2 3 reset:horizon@3 9 10 live@10 ") << "it has had all of them";
}

// Who begins at the earliest is forgiven what was lost before, topic by topic, and not what is lost later.
TEST_F(HubTest, FromTheEarliestOnlyLaterLossIsTold) {
  for (int i = 0; i < 20; ++i) publish(i % 2 == 0 ? "a" : "b");
  log->set_retention({}, {{"a", {}, 1}});
  ASSERT_TRUE(log->maintain(clock.wall()));
  Attach wish{{{"#", {}}}, 0, true, {}, Timestamp{Duration::max()}};
  ana.room = 3;
  const SessionId id = shard->attach(ana, wish, clock.now());
  turn();
  EXPECT_EQ(ana.story, "2 4 6 ");
  keep(1);  // of b, below the floor of a
  ana.room = 100;
  shard->writable(id);
  turn();
  EXPECT_EQ(ana.story, "2 4 6 reset:horizon@7 19 20 live@20 ");
}

TEST_F(HubTest, FromTheEarliestOnlyLaterLossIsToldByPagesToo) {
  open(2000);
  for (int i = 0; i < 600; ++i) publish(i % 2 == 0 ? "a" : "b");
  log->set_retention({}, {{"a", {}, 1}});
  while (log->maintain(clock.wall()).value()) {
  }
  Attach wish{{{"#", {}}}, 0, true, {}, Timestamp{Duration::max()}};
  shard->attach(ana, wish, clock.now());
  turn();
  ASSERT_EQ(pages.waiting.size(), 1u);
  PageQuestion first = std::move(pages.waiting.front());
  pages.waiting.clear();
  first.request.events_max = 3;
  shard->on_page({first.session, first.number, reader->read(first.request)}, clock.wall());
  EXPECT_EQ(ana.story, "2 4 6 ");
  log->set_retention({}, {{"b", {}, 100}});  // its floor stays below that of a
  while (log->maintain(clock.wall()).value()) {
  }
  turn();
  answer_pages();
  EXPECT_EQ(ana.story.substr(0, 30), "2 4 6 reset:horizon@6 402 404 ");
}

TEST_F(HubTest, FromTheEarliestNothingIsMissed) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish("a");
  ASSERT_TRUE(store->trim(46, 1000));
  Attach wish{{{"a", {}}}, 0, true, {}, Timestamp{Duration::max()}};
  shard->attach(ana, wish, clock.now());
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "47 48 49 50 live@50 ");
}

// Found by the simulator: who began at the earliest and then fell behind was forgiven a floor for ever.
TEST_F(HubTest, WhoBeganAtTheEarliestIsToldOfLaterLoss) {
  open(2000);
  publish("a");
  ana.room = 1;
  Attach wish{{{"a", {}}}, 0, true, {}, Timestamp{Duration::max()}};
  const SessionId id = shard->attach(ana, wish, clock.now());
  turn();
  for (int i = 0; i < 50; ++i) publish("a");
  turn();
  ASSERT_TRUE(store->trim(46, 1000));
  ana.room = 100;
  shard->writable(id);
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "1 reset:horizon@1 47 48 49 50 51 live@51 ");
}

TEST_F(HubTest, TypesAreFilteredLiveAndBehind) {
  publish("a", "payment.confirmed");
  publish("a", "booking.changed");
  attach({{"a", {"payment.#"}}}, 0);
  turn();
  publish("a", "booking.changed");
  publish("a", "payment.refunded");
  turn();
  EXPECT_EQ(ana.story, "1 live@2 4 ");
}

// Who is asked for is kept with each topic, until a pattern comes or goes.
TEST_F(HubTest, ATopicSeenBeforeReachesWhoComesLaterAndNotWhoLeft) {
  publish("a", "x");
  turn();
  const SessionId first = attach({{"a", {"x"}}}, 1);
  turn();
  publish("a", "x");
  turn();
  const SessionId second = attach({{"+", {"x"}}}, 2);
  const SessionId third = attach({{"a", {"y"}}}, 2);
  turn();
  ana.story.clear();
  publish("a", "x");
  turn();
  EXPECT_EQ(ana.story, "3 3 ");
  shard->detach(first);
  publish("a", "x");
  turn();
  shard->detach(second);
  publish("a", "x");
  publish("a", "y");
  turn();
  EXPECT_EQ(ana.story, "3 3 4 6 ");
  shard->detach(third);
  publish("a", "y");
  turn();
  EXPECT_EQ(ana.story, "3 3 4 6 ");
}

TEST_F(HubTest, RefreshEventsCollapseForWhoIsBehind) {
  publish("a", "refresh", R"([["x"]])");
  publish("a", "refresh", R"([["y"]])");
  publish("b", "refresh", R"([["x"]])");
  publish("a", "refresh", R"([["x"]])");
  attach({{"#", {}}}, 0);
  turn();
  EXPECT_EQ(ana.story, "2 3 4 live@4 ");
}

TEST_F(HubTest, EphemeralEventsReachOnlyWhoIsThere) {
  const SessionId id = attach({{"ephemeral/typing", {}}, {"a", {}}}, 0);
  turn();
  publish("ephemeral/typing");
  turn();
  ana.room = 1;
  publish("a");
  turn();
  publish("ephemeral/typing");
  turn();
  EXPECT_EQ(shard->counts().ephemeral_dropped, 1u);
  ana.room = 100;
  shard->writable(id);
  turn();
  EXPECT_EQ(ana.story, "live@0 ~ephemeral/typing 1 live@1 ");
}

TEST_F(HubTest, HeartbeatsTellThePositionNotTheHead) {
  const SessionId id = attach({{"a", {}}}, 0);
  turn();
  publish("b");
  turn();
  clock.advance(limits::heartbeat_interval);
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(ana.story, "live@0 beat@1/0 ");
  ana.room = 1;
  publish("a");
  publish("a");
  turn();
  clock.advance(limits::heartbeat_interval);
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(shard->position(id), 2u);
  EXPECT_EQ(ana.story, "live@0 beat@1/0 2 ");
}

// Behind in each way: not looked at yet, waiting for a page, waiting for a store that was busy.
TEST_F(HubTest, AHeartbeatTellsWhoIsBehindWhereItStands) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish("a");
  const auto beat = [this] {
    ana.story.clear();
    clock.advance(limits::heartbeat_interval);
    shard->tick(clock.now(), clock.wall());
  };
  const SessionId id = attach({{"a", {}}}, 40);
  beat();
  EXPECT_EQ(ana.story, "beat@40/0 ");
  turn();
  ASSERT_EQ(pages.waiting.size(), 1u);
  beat();
  EXPECT_EQ(ana.story, "beat@40/0 ");
  pages.full = true;
  shard->subscribe(id, {{"b", {}}});
  turn();
  beat();
  EXPECT_EQ(ana.story, "beat@40/0 ");
  pages.full = false;
  turn();
  answer_pages();
  beat();
  EXPECT_EQ(ana.story, "beat@50/10 ");
}

TEST_F(HubTest, AnOverrunShardReadsWhatItMissed) {
  open(2000);
  attach({{"a", {}}}, 0);
  turn();
  for (int i = 0; i < 50; ++i) publish("a");
  turn();
  answer_pages();
  EXPECT_EQ(shard->counts().overruns, 1u);
  std::string expected = "live@0 ";
  for (int i = 1; i <= 50; ++i) expected += std::to_string(i) + ' ';
  EXPECT_EQ(ana.story, expected + "live@50 ");
}

TEST_F(HubTest, AFullMailboxIsAskedAgainAtTheNextTick) {
  open(2000);
  for (int i = 0; i < 50; ++i) publish("a");
  pages.full = true;
  attach({{"a", {}}}, 48);
  turn();
  pages.full = false;
  clock.advance(limits::tick_interval);
  shard->tick(clock.now(), clock.wall());
  turn();
  answer_pages();
  EXPECT_EQ(ana.story, "49 50 live@50 ");
}

// What a client asks for again, or its feed asks for, takes no room.
TEST_F(HubTest, WhatTheFeedFollowsTakesNoRoomOfTheClients) {
  Attach wish;
  wish.feed_of = "ana";
  const SessionId id = shard->attach(ana, wish, clock.now());
  std::vector<Selector> all;
  for (std::size_t i = 0; i < limits::stream_topics_max; ++i) all.push_back({"t/" + std::to_string(i), {}});
  EXPECT_TRUE(shard->subscribe(id, all));
  EXPECT_TRUE(shard->subscribe(id, all));
  EXPECT_TRUE(shard->subscribe(id, {{"users/ana", {}}})) << "the feed has it";
  EXPECT_FALSE(shard->subscribe(id, {{"one/more", {}}}));
  EXPECT_FALSE(shard->subscribe(id, {{"users/ana", {"a"}}})) << "this one is the client's own";
  shard->unsubscribe(id, {{"t/0", {}}});
  EXPECT_TRUE(shard->subscribe(id, {{"one/more", {}}}));
  // The feed's own topic is not the client's to leave.
  shard->unsubscribe(id, {{"users/ana", {}}});
  EXPECT_EQ(shard->selectors(id).size(), limits::stream_topics_max);
  turn();
  answer_pages();
  publish("users/ana");
  turn();
  EXPECT_EQ(ana.story, "live@0 1 ");
}

}  // namespace
}  // namespace belfry
