// What the log makes of a clock that is wrong: ahead, behind, and put right.
#include <gtest/gtest.h>

#include "log/log.h"
#include "store/memory_store.h"

namespace belfry {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

struct LogClock : ::testing::Test {
  MemoryDisk disk;
  std::unique_ptr<Store> store = make_memory_store(disk);
  ManualClock clock;
  std::unique_ptr<Log> log = open({});

  std::unique_ptr<Log> open(LogOptions options) {
    auto opened = Log::open(*store, std::move(options), Epoch{7});
    CHECK(opened);
    return std::move(opened).value();
  }
  // Publishes an event, and gives the time that it was dated.
  Timestamp publish(const std::string& topic = "a") {
    PublishRequest request;
    request.principal = "backend:test";
    request.events.resize(1);
    request.events[0].topic = topic;
    const auto outcome = log->publish({&request, 1}, clock.wall());
    CHECK(outcome[0]);
    return store->read_log(log->tail().head() - 1, log->tail().head(), 1).value()[0].time;
  }
  // By a clock that was behind in between, to a log that keeps events for a day.
  void publish_three_of_which_one_is_dated_a_month_ago() {
    LogOptions options;
    options.retention = hours(24);
    log = open(options);
    publish();
    clock.set_wall(-hours(24 * 30));
    publish();
    clock.set_wall(hours(24 * 30));
    publish();
  }
};

TEST_F(LogClock, AClockThatWasAheadOnceDatesNothingThatFollows) {
  const Timestamp before = publish();
  clock.set_wall(hours(24 * 365));
  EXPECT_EQ(publish(), before + hours(24 * 365));
  EXPECT_EQ(log->ahead(clock.wall()), Duration{0});
  clock.set_wall(-hours(24 * 365));
  clock.advance(seconds(1));
  EXPECT_GT(log->ahead(clock.wall()), hours(24 * 364));
  EXPECT_EQ(publish(), clock.wall());
  EXPECT_EQ(log->ahead(clock.wall()), Duration{0});
  EXPECT_EQ(log->time_steps(), 1u);
  clock.advance(seconds(1));
  EXPECT_EQ(publish(), clock.wall());
  EXPECT_EQ(log->time_steps(), 1u);
}

TEST_F(LogClock, ALittleBackIsWaitedForAndNoTimeRunsBackwards) {
  const Timestamp before = publish();
  clock.set_wall(-limits::clock_ahead_max);
  EXPECT_EQ(publish(), before);
  EXPECT_EQ(log->time_steps(), 0u);
  clock.set_wall(-Duration{1});
  EXPECT_EQ(publish(), clock.wall());
  EXPECT_EQ(log->time_steps(), 1u);
}

TEST_F(LogClock, AClockThatIsEarlierThanTheProgramIsNotBelieved) {
  const Timestamp before = publish();
  clock.set_wall(-hours(24 * 365 * 50));
  EXPECT_EQ(publish(), before);
  EXPECT_EQ(log->time_steps(), 0u);
}

TEST_F(LogClock, AnEmptyLogBeginsNoEarlierThanTheProgram) {
  clock.set_wall(-hours(24 * 365 * 50));
  EXPECT_EQ(publish(), Timestamp{limits::clock_earliest});
  clock.set_wall(hours(24 * 365 * 50));
  EXPECT_EQ(publish(), clock.wall());
  EXPECT_EQ(log->time_steps(), 0u);
}

// By the log, as the log-writer does it.
TEST_F(LogClock, ARevocationIsNoWeakerThanWhatTheLogKnowsOfTheTime) {
  const auto dated = [this](bool so_far) {
    RevokeCommand command{{"ana", {}, clock.wall(), clock.wall() + limits::revocation_kept}, so_far};
    log->begin_group(clock.wall());
    log->date(command);
    log->commit_group();
    return command.revocation;
  };
  const auto never = hours(24 * 365 * 50);
  clock.set_wall(-never);
  EXPECT_EQ(dated(true).not_before, Timestamp{limits::clock_earliest}) << "nothing else is known";
  clock.set_wall(never);
  const Timestamp before = publish();
  clock.set_wall(-never);
  EXPECT_EQ(dated(true).not_before, before);
  EXPECT_EQ(dated(true).forget, before + limits::revocation_kept);
  EXPECT_EQ(dated(false).not_before, clock.wall()) << "it says itself from when";
  EXPECT_EQ(dated(false).forget, before + limits::revocation_kept);
  // What the clock told last counts, too, when nothing was published then.
  clock.set_wall(never);
  clock.advance(hours(1));
  log->tick(clock.wall());
  const Timestamp seen = clock.wall();
  clock.set_wall(-never);
  EXPECT_EQ(dated(true).not_before, seen);
  // And nothing of a clock that was ahead and was put right.
  clock.set_wall(never + hours(24 * 365));
  log->tick(clock.wall());
  clock.set_wall(-hours(24 * 365));
  EXPECT_EQ(dated(true).not_before, clock.wall());
}

TEST_F(LogClock, IsPutRightAfterAStartToo) {
  clock.set_wall(hours(24 * 365));
  publish();
  clock.set_wall(-hours(24 * 365));
  log = open({});
  EXPECT_EQ(publish(), clock.wall());
  log = open({});
  clock.advance(seconds(5));
  EXPECT_EQ(publish(), clock.wall());
  EXPECT_EQ(log->time_steps(), 0u);
}

// The newest rows may all be gone: withdrawn, or of a user who was erased.
TEST_F(LogClock, AStepBehindAHoleIsSeenAfterAStart) {
  LogOptions options;
  options.retention = hours(24);
  options.warm_rows = 4;
  publish();
  for (int i = 0; i < 10; ++i) {
    publish("b");
    const std::vector<Change> gone{Withdraw{disk.head}};
    ASSERT_TRUE(store->commit({{}, {}, gone}));
  }
  ASSERT_TRUE(store->index_now());
  log = open(options);
  clock.set_wall(-hours(24 * 30));
  publish();
  EXPECT_EQ(log->time_steps(), 1u);
  clock.set_wall(hours(24 * 30));
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 2u);
}

TEST_F(LogClock, AJumpAheadMakesTrueWhatIsDueAndTakesNothingOut) {
  LogOptions options;
  options.retention = hours(24);
  log = open(options);
  PublishRequest brief;
  brief.principal = "backend:test";
  brief.events.resize(1);
  brief.events[0].topic = "a";
  brief.events[0].expires = clock.wall() + hours(2);
  brief.idempotency_key = "k";
  ASSERT_TRUE(log->publish({&brief, 1}, clock.wall())[0]);
  PublishRequest later;
  later.principal = "backend:test";
  later.events.resize(1);
  later.events[0].topic = "a";
  later.deliver_at = {clock.wall() + hours(1)};
  ASSERT_TRUE(log->publish({&later, 1}, clock.wall())[0]);
  const Timestamp settled = clock.wall();
  clock.set_wall(hours(24 * 365));
  while (log->maintain({clock.wall(), settled}).value()) {
  }
  EXPECT_EQ(disk.log.size(), 2u);
  EXPECT_EQ(disk.keys.size(), 1u);
  PublishRequest again;
  again.principal = "backend:test";
  again.events.resize(1);
  again.events[0].topic = "a";
  again.idempotency_key = "k";
  EXPECT_TRUE(log->publish({&again, 1}, clock.wall())[0].value().replayed);
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 1u) << "it has stood";
  EXPECT_EQ(disk.keys.size(), 0u);
}

// A clock that was behind goes on in the settled one for a while after it was put right.
TEST_F(LogClock, WhatIsOldByOneClockAloneStays) {
  publish_three_of_which_one_is_dated_a_month_ago();
  const Timestamp settled = clock.wall() + -seconds(60);
  ASSERT_EQ(store->last_older(hours(24), settled).value(), 2u) << "by this one they are a month old";
  while (log->maintain({clock.wall(), settled}).value()) {
  }
  EXPECT_EQ(disk.log.size(), 3u);
}

TEST_F(LogClock, AStepThatCouldNotBeStoredIsStoredWithTheNextEvent) {
  clock.set_wall(hours(1000));
  publish();
  clock.set_wall(-hours(1000));
  disk.trouble = MemoryDisk::Trouble::full;
  PublishRequest request;
  request.events.resize(1);
  request.events[0].topic = "a";
  EXPECT_EQ(log->publish({&request, 1}, clock.wall())[0].error().code, Code::store_full);
  publish();
  clock.advance(hours(1));
  // Found along the log, though the first event is dated weeks later.
  EXPECT_EQ(store->last_older({}, clock.wall()).value(), 2u);
  publish();
  EXPECT_EQ(disk.time_line.size(), 1u) << "a step is one row, not one for each event";
}

TEST_F(LogClock, AStepThatNoEventSawIsNone) {
  publish();
  clock.set_wall(-hours(1000));
  log->publish({}, clock.wall());
  clock.set_wall(-hours(1));
  log->publish({}, clock.wall());
  clock.set_wall(hours(1001));
  publish();
  EXPECT_TRUE(disk.time_line.empty());
}

TEST_F(LogClock, AClockThatWasBehindForAMomentCostsNoEvent) {
  publish_three_of_which_one_is_dated_a_month_ago();
  clock.advance(hours(23));
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 3u);
  clock.advance(hours(2));
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_TRUE(disk.log.empty());
}

TEST_F(LogClock, RetentionTakesWhatWasDatedByAWrongClockWithWhatFollowsIt) {
  LogOptions options;
  options.retention = hours(24);
  log = open(options);
  clock.set_wall(hours(24 * 365));
  publish();
  clock.set_wall(-hours(24 * 365));
  publish();
  clock.advance(hours(23));
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 2u);
  EXPECT_FALSE(disk.time_line.empty());
  clock.advance(hours(2));
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 0u);
  EXPECT_FALSE(disk.time_line.empty()) << "it may still be the clock of now that is wrong";
  clock.advance(hours(24 * 365));
  publish();
  clock.advance(hours(25));
  publish();
  while (log->maintain(clock.wall()).value()) {
  }
  EXPECT_EQ(disk.log.size(), 1u);
  EXPECT_TRUE(disk.time_line.empty()) << "the time has come";
}

}  // namespace
}  // namespace belfry
