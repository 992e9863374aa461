#include "log/tail.h"

#include <gtest/gtest.h>

#include <thread>

namespace belfry {
namespace {

BatchPtr batch(Offset first, std::size_t count, std::size_t bytes = 0) {
  std::vector<Event> events(count);
  for (std::size_t i = 0; i < count; ++i) {
    events[i].offset = first == 0 ? 0 : first + i;
    events[i].topic = "a";
    events[i].data = std::string(bytes, '1');
  }
  return std::make_shared<const Batch>(std::move(events));
}

TEST(Tail, GivesWhatIsNewerThanAVersionOldestFirst) {
  Tail tail(0, 1 << 20);
  tail.append(batch(1, 2));
  auto seen = tail.since(0);
  EXPECT_EQ(seen.batches.size(), 1u);
  tail.append(batch(0, 1));
  tail.append(batch(3, 1));
  auto news = tail.since(seen.version);
  ASSERT_EQ(news.batches.size(), 2u);
  EXPECT_FALSE(news.batches[0]->entries[0].event().durable());
  EXPECT_EQ(news.batches[1]->last(), 3u);
  EXPECT_EQ(tail.since(news.version).batches.size(), 0u);
  EXPECT_EQ(tail.head(), 3u);
}

TEST(Tail, LetsOldBatchesGoButNothingThatIsNotIndexed) {
  Tail tail(0, 10'000);
  for (Offset at = 1; at <= 10; ++at) tail.append(batch(at, 1, 4000));
  tail.trim(3);
  EXPECT_EQ(tail.since(0).low, 3u);
  EXPECT_TRUE(tail.wants_index(3));
  tail.trim(10);
  EXPECT_FALSE(tail.wants_index(10));
  EXPECT_EQ(tail.since(0).low, 8u);
}

TEST(Tail, WhatIsWithdrawnIsMarkedInItsBatchAndNothingElse) {
  Tail tail(0, 1 << 20);
  tail.append(batch(1, 3));
  tail.append(batch(4, 2));
  tail.withdraw(std::vector<Offset>{2, 5, 9});
  std::string withdrawn;
  for (const BatchPtr& one : tail.since(0).batches)
    for (const Entry& entry : one->entries) withdrawn += entry.withdrawn() ? 'w' : '.';
  EXPECT_EQ(withdrawn, ".w..w");
}

TEST(Tail, AFloodOfEphemeralEventsPushesNoDurableOneOut) {
  Tail tail(0, 100'000);
  tail.append(batch(1, 1));
  for (int i = 0; i < 1000; ++i) tail.append(batch(0, 1, 1000));
  tail.trim(1);
  auto news = tail.since(0);
  EXPECT_EQ(news.low, 0u);
  EXPECT_EQ(news.batches.front()->last(), 1u);
  EXPECT_LT(news.batches.size(), 20u);
}

TEST(Tail, TwoThreadsThatEncodeAtOnceSeeTheSameBytes) {
  for (int round = 0; round < 200; ++round) {
    Entry entry{Event{}};
    const std::string* seen[2] = {};
    auto encode = [](const Event&) { return std::string(100, 'x'); };
    std::thread other([&] { seen[0] = &entry.frame(Format::sse, encode); });
    seen[1] = &entry.frame(Format::sse, encode);
    other.join();
    EXPECT_EQ(seen[0], seen[1]);
  }
}

}  // namespace
}  // namespace belfry
