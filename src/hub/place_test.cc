// The places that clients are told: none lies beyond what they have, and from each they can go on.
#include "hub/hub_fixture.h"

namespace belfry {
namespace {

TEST_F(HubTest, AWriteDoesNotTellAPlaceBeyondWhatIsPending) {
  attach({{"a", {}}, {"ephemeral/#", {}}}, 0);
  turn();
  const std::size_t most = limits::write_events_max;
  PublishRequest request;
  request.events.resize(2 * most + 2);
  for (Event& event : request.events) event.topic = "a";
  request.events[most].topic = "b";  // nothing that it asked for, where the first write ends
  ASSERT_TRUE(log->publish({&request, 1}, clock.wall())[0]);
  turn();
  EXPECT_EQ(ana.told, (std::vector<Offset>{most + 1, 2 * most + 1, 2 * most + 2}));
}

// Of several writes of ephemeral events none has a place of its own.
TEST_F(HubTest, WhatHasNoPlaceHoldsNoPlaceBack) {
  attach({{"ephemeral/#", {}}, {"a", {}}}, 0);
  publish("a");
  turn();
  ana.told.clear();
  PublishRequest request;
  request.events.resize(limits::write_events_max + 1);
  for (Event& event : request.events) event.topic = "ephemeral/x";
  ASSERT_TRUE(log->publish({&request, 1}, clock.wall())[0]);
  turn();
  EXPECT_EQ(ana.told.front(), 1u);
}

// Whoever comes again from there is told nothing more.
TEST_F(HubTest, FromWhereAResetLeadsOneCanGoOn) {
  const std::vector<std::vector<Selector>> wishes{{{"a", {}}}, {{"#", {}}}};
  for (const bool from_the_store : {false, true}) {
    open(from_the_store ? 2000 : limits::tail_bytes_max);
    for (int i = 0; i < 100; ++i) publish(i % 2 == 0 ? "a" : "b");
    log->set_retention({}, {{"a", {}, 3}});
    while (log->maintain(clock.wall()).value()) continue;
    for (const auto& wish : wishes) {
      ana = Recorder();
      shard->detach(attach(wish, 0));
      const SessionId first = attach(wish, 0);
      turn();
      answer_pages();
      ASSERT_EQ(ana.beyond.size(), 1u) << ana.story;
      shard->detach(first);
      ana.story.clear();
      attach(wish, ana.beyond[0]);
      publish("a");
      turn();
      answer_pages();
      EXPECT_EQ(ana.beyond.size(), 1u) << ana.story;
      EXPECT_NE(ana.story.find(std::to_string(log->tail().head())), std::string::npos) << ana.story;
    }
  }
}

// What was told of one topic says nothing of another that is asked for later.
TEST_F(HubTest, ATopicThatIsAskedForWhileBehindTellsWhatItHasLost) {
  for (const bool from_the_store : {false, true}) {
    open(from_the_store ? 2000 : limits::tail_bytes_max);
    ana = Recorder();
    for (int i = 0; i < 20; ++i) publish("c");
    for (int i = 0; i < 100; ++i) publish(i % 2 == 0 ? "a" : "b");
    const Offset before = log->tail().head() - 120;
    log->set_retention({}, {{"a", {}, 1}, {"c", {}, 5}});
    while (log->maintain(clock.wall()).value()) continue;
    ana.room = 1;
    const SessionId id = attach({{"a", {}}, {"b", {}}}, before);
    turn();
    answer_pages();
    ASSERT_EQ(ana.beyond.size(), 1u) << ana.story;
    shard->subscribe(id, {{"c", {}}});
    ana.room = 1000;
    shard->writable(id);
    turn();
    answer_pages();
    EXPECT_EQ(ana.beyond.size(), 2u) << ana.story;
    shard->detach(id);
  }
}

TEST_F(HubTest, NoPlaceIsToldBeforeTheResetThatGivesIt) {
  publish("a");
  Attach wish;
  wish.selectors = {{"a", {}}};
  wish.position = 1;
  wish.reset = ResetReason::lost;
  const SessionId id = shard->attach(ana, wish, clock.now());
  EXPECT_FALSE(shard->position(id));
  clock.advance(limits::heartbeat_interval);
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(ana.story, "");
  turn();
  EXPECT_EQ(shard->position(id), 1u);
  EXPECT_EQ(ana.story, "reset:lost@1 live@1 ");
}

// However often it changes its mind, or is blocked and goes on.
TEST_F(HubTest, ASessionHasOneQuestionOnItsWayAtMost) {
  open(2000);
  for (int i = 0; i < 100; ++i) publish(i % 2 == 0 ? "a" : "b");
  const SessionId id = attach({{"a", {}}}, 0);
  turn();
  for (int i = 0; i < 20; ++i) {
    shard->subscribe(id, {{"b", {}}});
    turn();
    shard->unsubscribe(id, {{"b", {}}});
    turn();
    ana.beat_blocks = true;
    clock.advance(limits::heartbeat_interval);
    shard->tick(clock.now(), clock.wall());
    ana.beat_blocks = false;
    shard->writable(id);
    turn();
  }
  shard->subscribe(id, {{"b", {}}});
  turn();
  EXPECT_EQ(pages.waiting.size(), 1u);
  ana.story.clear();
  answer_pages();
  std::string all;
  for (Offset offset = 1; offset <= 100; ++offset) all += std::to_string(offset) + " ";
  EXPECT_EQ(ana.story, all + "live@100 ");
}

}  // namespace
}  // namespace belfry
