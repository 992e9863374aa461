// What one turn of a shard writes to those that are live.
#include "hub/hub_fixture.h"

namespace belfry {
namespace {

TEST_F(HubTest, ManyEventsInOneTurnAreOneWrite) {
  attach({{"a", {}}, {"#", {}}}, 0);
  turn();
  for (int i = 0; i < 16; ++i) publish("a");
  turn();
  EXPECT_EQ(ana.writes, 1);
  EXPECT_EQ(ana.story, "live@0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 ");
}

TEST_F(HubTest, AWriteIsBoundedHoweverManyEventsATurnBrings) {
  attach({{"a", {}}}, 0);
  turn();
  const std::size_t count = limits::write_events_max + 1;
  for (std::size_t i = 0; i < count; ++i) publish("a");
  turn();
  EXPECT_EQ(ana.largest, limits::write_events_max);
  EXPECT_EQ(shard->counts().delivered, count);
  EXPECT_TRUE(ana.story.ends_with(std::to_string(count) + " live@" + std::to_string(count) + " "));
}

TEST_F(HubTest, WhatExpiredBeforeTheTurnIsGivenToNobody) {
  attach({{"a", {}}}, 0);
  turn();
  publish("a");
  PublishRequest request;
  request.events.resize(1);
  request.events[0].topic = "a";
  request.events[0].expires = clock.wall() + std::chrono::seconds(1);
  ASSERT_TRUE(log->publish({&request, 1}, clock.wall())[0]);
  publish("a");
  clock.advance(std::chrono::seconds(1));
  turn();
  EXPECT_EQ(ana.story, "live@0 1 3 ");
}

}  // namespace
}  // namespace belfry
