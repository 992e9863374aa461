// What nobody asks for is done all the same, in slices, as fast as it comes, on a store with an index that
// lags.
#include <gtest/gtest.h>

#include <algorithm>

#include "log/log.h"
#include "shelves.h"

namespace belfry {
namespace {

using std::chrono::hours;

struct Housekeeping : ::testing::Test {
  SqliteShelf shelf;
  std::unique_ptr<Store> store = shelf.open();
  ManualClock clock;
  std::unique_ptr<Log> log;

  void open(std::optional<Duration> retention, std::vector<RetentionRule> rules = {}) {
    LogOptions options;
    options.retention = retention;
    options.rules = std::move(rules);
    auto opened = Log::open(*store, std::move(options), Epoch{7});
    CHECK(opened);
    log = std::move(opened).value();
  }
  static PublishRequest request(const std::string& topic, std::size_t events) {
    PublishRequest out;
    out.principal = "backend:test";
    out.events.resize(events);
    for (Event& event : out.events) event.topic = topic;
    return out;
  }
  void publish(PublishRequest request) {
    std::vector<PublishRequest> requests;
    requests.push_back(std::move(request));
    ASSERT_TRUE(log->publish(requests, clock.wall())[0]);
  }
  // So many slices at most; the number of those that did something.
  std::size_t keep_house(std::size_t most = 10'000) {
    std::size_t slices = 0;
    while (slices < most && log->maintain(clock.wall()).value()) ++slices;
    return slices;
  }
  std::size_t rows() { return store->read_log(0, log->tail().head(), 1'000'000).value().size(); }
  std::size_t rows_of(const std::string& topic) {
    const auto all = store->read_log(0, log->tail().head(), 1'000'000).value();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const Event& event) { return event.topic == topic; }));
  }
};

TEST_F(Housekeeping, RetentionByAgeReachesWhatIsNotIndexedYet) {
  open(hours(24));
  publish(request("users/ana", 10));
  ASSERT_EQ(store->indexed(), 0u);
  clock.advance(hours(25));
  keep_house();
  EXPECT_EQ(rows(), 0u);
}

TEST_F(Housekeeping, RulesReachWhatIsNotIndexedYet) {
  open({}, {{"by-number/#", {}, 2}, {"by-age/#", hours(24), {}}});
  publish(request("by-number/1", 10));
  publish(request("by-age/1", 10));
  ASSERT_EQ(store->indexed(), 0u);
  keep_house();
  EXPECT_EQ(rows_of("by-number/1"), 2u);
  EXPECT_EQ(rows_of("by-age/1"), 10u);
  clock.advance(hours(25));
  keep_house();
  EXPECT_EQ(rows_of("by-age/1"), 0u);
  EXPECT_EQ(rows_of("by-number/1"), 2u);
}

TEST_F(Housekeeping, OneSliceAfterEachGroupKeepsPaceWithPublishing) {
  open({}, {{"a/#", {}, 100}});
  for (int i = 0; i < 40; ++i) {
    publish(request("a/x", limits::batch_events_max));
    keep_house(1);
    EXPECT_LE(rows(), 2 * limits::batch_events_max) << "after " << i;
  }
}

TEST_F(Housekeeping, ASliceIsBounded) {
  open(hours(24));
  for (int i = 0; i < 4; ++i) publish(request("a", limits::batch_events_max));
  clock.advance(hours(25));
  const std::size_t before = rows();
  ASSERT_TRUE(log->maintain(clock.wall()).value());
  EXPECT_EQ(before - rows(), limits::housekeeping_rows_max) << "as many as came, up to the bound";
  ASSERT_TRUE(log->maintain(clock.wall()).value());
  EXPECT_EQ(before - rows(), limits::housekeeping_rows_max + limits::housekeeping_rows_min);
}

TEST_F(Housekeeping, OneTopicWithMuchToLoseHoldsNobodyUp) {
  open({});
  for (int i = 0; i < 3; ++i) publish(request("a", limits::batch_events_max));
  publish(request("b", 20));
  log->set_retention({}, {{"#", {}, 1}});
  const std::vector<RetentionRule> one{{"#", {}, 1}};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->sweep(one, Timestamp{}, 64));
  EXPECT_EQ(rows_of("b"), 1u);
  EXPECT_GT(rows_of("a"), 2000u);
}

TEST_F(Housekeeping, TopicsThatGotEventsComeFirst) {
  const std::vector<RetentionRule> rules{{"#", {}, 1}};
  open({}, rules);
  PublishRequest many = request("", limits::batch_events_max);
  for (std::size_t i = 0; i < many.events.size(); ++i) many.events[i].topic = "t/" + std::to_string(i);
  publish(std::move(many));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->sweep(rules, Timestamp{}, 64));
  publish(request("t/900", 10));
  ASSERT_EQ(store->sweep(rules, Timestamp{}, 64).value().size(), 10u);
  EXPECT_EQ(rows_of("t/900"), 1u);
}

TEST_F(Housekeeping, TopicsWithNothingOldAreNoEnd) {
  open({}, {{"#", {}, 5}});
  // In the middle, wherever one begins to look.
  const auto quiet = [&](const std::string& name) {
    PublishRequest many = request("", 500);
    for (std::size_t i = 0; i < many.events.size(); ++i) many.events[i].topic = name + std::to_string(i);
    publish(std::move(many));
  };
  quiet("before/");
  publish(request("busy", 10));
  quiet("after/");
  keep_house();
  EXPECT_EQ(rows(), 1000u + 5u);
}

TEST_F(Housekeeping, WhatIsDueAtOnceIsPublishedInSlicesBetweenGroups) {
  open({});
  PublishRequest scheduled = request("later", 600);
  scheduled.deliver_at.assign(600, clock.wall() + hours(1));
  publish(std::move(scheduled));
  clock.advance(hours(2));
  for (int i = 0; i < 3; ++i) {
    publish(request("now", 1000));
    const std::size_t before = rows_of("later");
    keep_house(1);
    EXPECT_EQ(rows_of("later") - before, std::min<std::size_t>(limits::commit_rows_max, 600 - before));
  }
  EXPECT_EQ(rows_of("later"), 600u);
}

TEST_F(Housekeeping, WhatIsDueOfOneHoldsNobodyUp) {
  open({});
  for (const char* principal : {"backend:a", "backend:m", "backend:z"}) {
    PublishRequest scheduled = request(principal[8] == 'm' ? "few" : "many", principal[8] == 'm' ? 1 : 900);
    scheduled.principal = principal;
    scheduled.deliver_at.assign(scheduled.events.size(), clock.wall() + hours(1));
    if (principal[8] == 'm') scheduled.deliver_at[0] = clock.wall() + hours(2);
    publish(std::move(scheduled));
  }
  clock.advance(hours(3));
  keep_house(1);
  EXPECT_EQ(rows_of("few"), 1u) << "though it was due last";
  EXPECT_GT(rows_of("many"), 100u);
  keep_house();
  EXPECT_EQ(rows_of("many"), 1800u);
}

TEST_F(Housekeeping, ASliceIsBoundedInBytesToo) {
  open(hours(24));
  for (int i = 0; i < 20; ++i) {
    PublishRequest large = request("a", 15);
    for (Event& event : large.events) event.data = std::string(60'000, 'x');
    publish(std::move(large));
  }
  clock.advance(hours(25));
  keep_house(1);
  EXPECT_GT(rows(), 220u) << "2 MiB are about 35 of them";
  EXPECT_LT(rows(), 300u);
  keep_house();
  EXPECT_EQ(rows(), 0u);
}

TEST_F(Housekeeping, EveryChoreHasItsTurn) {
  open(hours(24), {{"swept", {}, 1}});
  publish(request("old", 3000));
  PublishRequest scheduled = request("later", 3000);
  scheduled.deliver_at.assign(3000, clock.wall() + hours(25));
  publish(std::move(scheduled));
  clock.advance(hours(26));
  publish(request("swept", 3000));
  PublishRequest expiring = request("expiring", 100);
  for (Event& event : expiring.events) event.expires = clock.wall();
  publish(std::move(expiring));
  keep_house(8);
  EXPECT_LT(rows_of("old"), 3000u);
  EXPECT_GT(rows_of("later"), 0u);
  EXPECT_LT(rows_of("swept"), 3000u);
  EXPECT_EQ(rows_of("expiring"), 0u);
}

TEST_F(Housekeeping, KeysAreForgottenAsFastAsTheyCome) {
  open({});
  for (int i = 0; i < 300; ++i) {
    PublishRequest keyed = request("a", 1);
    keyed.idempotency_key = "k" + std::to_string(i);
    publish(std::move(keyed));
  }
  clock.advance(limits::idempotency_time + hours(1));
  EXPECT_EQ(keep_house(1), 1u);
  EXPECT_EQ(keep_house(1), 0u) << "375 at once, because 300 came";
  EXPECT_FALSE(store->find_idempotency("backend:test", "k299").value());
}

}  // namespace
}  // namespace belfry
