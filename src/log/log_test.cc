#include "log/log.h"

#include <gtest/gtest.h>

#include <utility>

#include "store/memory_store.h"

namespace belfry {
namespace {

PublishRequest request(std::vector<std::string> topics, std::string key = {}, std::uint8_t body = 0) {
  PublishRequest out;
  for (auto& topic : topics) {
    Event event;
    event.topic = std::move(topic);
    out.events.push_back(std::move(event));
  }
  out.principal = "backend:test";
  out.idempotency_key = std::move(key);
  out.body[0] = body;
  return out;
}

struct LogTest : ::testing::Test {
  MemoryDisk disk;
  std::unique_ptr<Store> store = make_memory_store(disk);
  ManualClock clock;
  std::unique_ptr<Log> log = make();

  std::unique_ptr<Log> make() {
    LogOptions options;
    options.ephemeral = {"ephemeral/#"};
    auto opened = Log::open(*store, options, Epoch{7});
    CHECK(opened);
    return std::move(opened).value();
  }
  std::vector<PublishOutcome> publish(std::vector<PublishRequest> requests) {
    return log->publish(requests, clock.wall());
  }
};

TEST_F(LogTest, PlacesEventsInOrderAndCountsPerTopic) {
  auto outcomes = publish({request({"a", "b", "a"}), request({"a"})});
  ASSERT_TRUE(outcomes[0] && outcomes[1]);
  const auto& events = outcomes[0].value().events;
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].cursor.offset, 1u);
  EXPECT_EQ(events[2].cursor.offset, 3u);
  EXPECT_EQ(events[2].seq, 2u);
  EXPECT_EQ(outcomes[1].value().events[0].seq, 3u);
  EXPECT_EQ(log->tail().head(), 4u);
}

TEST_F(LogTest, TheSameKeyIsTheSameEventWithinAGroupAndAfterIt) {
  auto first = publish({request({"a"}, "k", 1), request({"a"}, "k", 1), request({"a"}, "k", 2)});
  ASSERT_TRUE(first[0] && first[1]);
  EXPECT_FALSE(first[0].value().replayed);
  EXPECT_TRUE(first[1].value().replayed);
  EXPECT_EQ(first[1].value().events[0].cursor, first[0].value().events[0].cursor);
  EXPECT_EQ(first[2].error().code, Code::idempotency_mismatch);

  auto later = publish({request({"a"}, "k", 1), request({"a"}, "k", 3)});
  ASSERT_TRUE(later[0]);
  EXPECT_TRUE(later[0].value().replayed);
  EXPECT_EQ(later[0].value().events[0].cursor, first[0].value().events[0].cursor);
  EXPECT_EQ(later[0].value().events[0].seq, 1u);
  EXPECT_EQ(later[1].error().code, Code::idempotency_mismatch);
  EXPECT_EQ(log->tail().head(), 1u);
}

TEST_F(LogTest, ARepeatIsAnsweredAsTheFirstTimeWhateverCameBetween) {
  publish({request(std::vector<std::string>(10, "x"))});
  const auto first = publish({request({"x"}), request({"a", "b", "a"}, "k", 1), request({"a", "b"})});
  const auto again = publish({request({"a", "b", "a"}, "k", 1)});
  ASSERT_TRUE(first[1] && again[0]);
  EXPECT_TRUE(again[0].value().replayed);
  const auto &one = first[1].value().events, &two = again[0].value().events;
  ASSERT_EQ(two.size(), 3u);
  for (std::size_t i = 0; i < two.size(); ++i) {
    EXPECT_EQ(two[i].cursor, one[i].cursor) << i;
    EXPECT_EQ(two[i].seq, one[i].seq) << i;
    EXPECT_EQ(two[i].topic, one[i].topic) << i;
  }
}

TEST_F(LogTest, KeysAreForgottenAfterADay) {
  publish({request({"a"}, "k")});
  clock.advance(std::chrono::hours(25));
  while (log->maintain(clock.wall()).value()) {
  }
  auto again = publish({request({"a"}, "k")});
  ASSERT_TRUE(again[0]);
  EXPECT_FALSE(again[0].value().replayed);
  EXPECT_EQ(log->tail().head(), 2u);
}

TEST_F(LogTest, KeysOfAnotherPrincipalAreOtherKeys) {
  auto other = request({"a"}, "k", 2);
  other.principal = "backend:other";
  auto outcomes = publish({request({"a"}, "k", 1), std::move(other)});
  EXPECT_TRUE(outcomes[0] && outcomes[1]);
  EXPECT_EQ(log->tail().head(), 2u);
}

TEST_F(LogTest, EphemeralEventsAreAnnouncedButNotStored) {
  auto outcomes = publish({request({"ephemeral/typing", "a"})});
  ASSERT_TRUE(outcomes[0]);
  EXPECT_EQ(outcomes[0].value().events[0].cursor.offset, 0u);
  EXPECT_EQ(outcomes[0].value().events[1].cursor.offset, 1u);
  EXPECT_EQ(log->tail().head(), 1u);
  EXPECT_EQ(log->tail().since(0).batches.size(), 2u);
}

// The events of the newest batches in the tail, by topic.
std::string announced(const Log& log) {
  std::string out;
  for (const auto& batch : log.tail().since(0).batches)
    for (const Entry& entry : batch->entries) out += entry.event().topic + ' ';
  return out;
}

TEST_F(LogTest, ARequestThatIsRefusedHasNoVisiblePart) {
  disk.trouble = MemoryDisk::Trouble::full;
  auto outcomes = publish({request({"ephemeral/a", "b"}), request({"ephemeral/c"}),
                           request({"ephemeral/d"}, "key")});
  EXPECT_EQ(outcomes[0].error().code, Code::store_full);
  EXPECT_TRUE(outcomes[1]) << "it needs no room";
  EXPECT_EQ(outcomes[2].error().code, Code::store_full) << "its key could not be kept";
  EXPECT_EQ(announced(*log), "ephemeral/c ");
  outcomes = publish({request({"ephemeral/a", "b"})});
  EXPECT_TRUE(outcomes[0]);
  EXPECT_EQ(announced(*log), "ephemeral/c ephemeral/a b ");
}

// Two that ask for the same: the second rests on the first, which came to nothing.
TEST_F(LogTest, ACommandThatChangesNothingFallsWithItsGroup) {
  struct Once final : CommandPlanner {
    void begin_group() override { done = false; }
    Result<CommandPlan> plan(const Command&, Timestamp) override {
      CommandPlan plan;
      plan.answer.changed = !std::exchange(done, true);
      if (!plan.answer.changed) return plan;
      plan.events.resize(1);
      plan.events[0].topic = "users/ana";
      plan.changes.push_back(EraseUser{"ana"});
      return plan;
    }
    std::vector<Event> tick(Timestamp) override { return {}; }
    bool done = false;
  } planner;
  log->set_planner(planner);
  const auto twice = [&] {
    std::vector<PublishRequest> requests(2);
    for (auto& each : requests) each.command = EraseCommand{"ana"};
    requests.push_back(request({"a", "b"}));
    return publish(std::move(requests));
  };
  disk.trouble = MemoryDisk::Trouble::full;
  for (const auto& outcome : twice()) EXPECT_EQ(outcome.error().code, Code::store_full);
  const auto outcomes = twice();
  EXPECT_TRUE(outcomes[0].value().command->changed);
  EXPECT_FALSE(outcomes[1].value().command->changed);
  // Both are true behind the event of the first, not behind what else the group brings.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(outcomes[i].value().command->cursor.offset, 1u);
  EXPECT_EQ(log->tail().head(), 3u);
}

// A refusal may rest on what came to nothing, too.
TEST_F(LogTest, ARefusedCommandFallsWithItsGroup) {
  struct Refuses final : CommandPlanner {
    void begin_group() override {}
    Result<CommandPlan> plan(const Command&, Timestamp) override { return fail(Code::forbidden); }
    std::vector<Event> tick(Timestamp) override { return {}; }
  } planner;
  log->set_planner(planner);
  const auto both = [&] {
    std::vector<PublishRequest> requests(1);
    requests[0].command = EraseCommand{"ana"};
    requests.push_back(request({"a"}));
    return publish(std::move(requests));
  };
  disk.trouble = MemoryDisk::Trouble::full;
  EXPECT_EQ(both()[0].error().code, Code::store_full);
  EXPECT_EQ(both()[0].error().code, Code::forbidden);
}

TEST_F(LogTest, AfterAFailureNothingIsSeenAtAll) {
  disk.trouble = MemoryDisk::Trouble::failed_before;
  const auto outcomes = publish({request({"b"}), request({"ephemeral/c"})});
  EXPECT_EQ(outcomes[0].error().code, Code::store_failed);
  EXPECT_EQ(outcomes[1].error().code, Code::store_failed);
  EXPECT_EQ(announced(*log), "");
}

// Whatever became of it: durable, ephemeral, scheduled, taken out meanwhile.
TEST_F(LogTest, TheSameKeyIsTheSameEventWhateverKindItWas) {
  const auto mixed = [] { return request({"ephemeral/a", "b", "ephemeral/c", "b"}, "mixed"); };
  const auto scheduled = [&] {
    auto out = request({"later", "sooner"}, "scheduled");
    out.deliver_at = {clock.wall() + std::chrono::hours(1), clock.wall() + std::chrono::minutes(1)};
    return out;
  };
  const auto single = [](const std::string& topic) {
    auto out = request({topic});
    out.event_keys = {"id of " + topic};
    out.event_bodies = {{}};
    return out;
  };
  const auto all = [&] {
    return publish({mixed(), scheduled(), single("ephemeral/x"), single("durable/x")});
  };
  const auto first = all();
  clock.advance(std::chrono::minutes(5));
  ASSERT_TRUE(log->maintain(clock.wall()));  // one of the scheduled ones is due
  const Offset head = log->tail().head();
  const std::string seen = announced(*log);
  ASSERT_TRUE(store->trim(head, 100));
  const auto again = all();
  for (std::size_t i = 0; i < first.size(); ++i) {
    ASSERT_TRUE(first[i] && again[i]);
    EXPECT_FALSE(first[i].value().replayed);
    EXPECT_TRUE(again[i].value().replayed);
    ASSERT_EQ(again[i].value().events.size(), first[i].value().events.size());
    for (std::size_t n = 0; n < first[i].value().events.size(); ++n) {
      EXPECT_EQ(again[i].value().events[n].cursor, first[i].value().events[n].cursor);
      EXPECT_EQ(again[i].value().events[n].topic, first[i].value().events[n].topic);
      EXPECT_EQ(again[i].value().events[n].scheduled, first[i].value().events[n].scheduled);
      EXPECT_EQ(again[i].value().events[n].seq, 0u) << "what is gone has none";
    }
  }
  EXPECT_EQ(log->tail().head(), head);
  EXPECT_EQ(announced(*log), seen);
}

// It was accepted, and may be due by now.
TEST_F(LogTest, WhatIsScheduledForThePastIsRefusedUnlessItIsARepeat) {
  const Timestamp at = clock.wall() + std::chrono::minutes(1);
  const auto scheduled = [](std::string key, std::vector<Timestamp> times) {
    auto out = request(std::vector<std::string>(times.size(), "a"), std::move(key));
    out.deliver_at = std::move(times);
    return out;
  };
  const auto first = publish({scheduled("k", {at})});
  clock.advance(std::chrono::minutes(2));
  ASSERT_TRUE(log->maintain(clock.wall()));
  ASSERT_EQ(announced(*log), "a ");
  const auto again = publish({scheduled("k", {at}), scheduled("", {at}), scheduled("new", {at})});
  ASSERT_TRUE(first[0] && again[0]);
  EXPECT_TRUE(again[0].value().replayed);
  EXPECT_EQ(again[0].value().events[0].scheduled, first[0].value().events[0].scheduled);
  for (const auto* refused : {&again[1], &again[2]}) {
    EXPECT_EQ(refused->error().code, Code::bad_parameter);
    EXPECT_EQ(refused->error().field, "deliver_at");
  }
  const Timestamp good = clock.wall() + std::chrono::minutes(1), far = good + limits::schedule_max;
  const auto more = publish({scheduled("new", {good}), scheduled("", {good, far})});
  EXPECT_TRUE(more[0]) << "what was refused has used no key";
  EXPECT_EQ(more[1].error().field, "events[1].deliver_at");
  auto waited = scheduled("", {good});
  waited.arrived = clock.wall();
  clock.advance(std::chrono::minutes(5));
  EXPECT_TRUE(publish({waited})[0]) << "it was in the future when it came";
  EXPECT_EQ(disk.scheduled.size(), 2u);
}

TEST_F(LogTest, OfABatchWithAKnownEventTheNewOneIsAnnouncedAlone) {
  const auto batch = [](std::vector<std::string> topics) {
    auto out = request(topics);
    for (const auto& topic : topics) out.event_keys.push_back("id of " + topic);
    out.event_bodies.resize(topics.size());
    return out;
  };
  ASSERT_TRUE(publish({batch({"ephemeral/x"})})[0]);
  ASSERT_TRUE(publish({batch({"ephemeral/x", "ephemeral/y"})})[0]);
  EXPECT_EQ(announced(*log), "ephemeral/x ephemeral/y ");
  disk.trouble = MemoryDisk::Trouble::full;
  EXPECT_EQ(publish({batch({"ephemeral/z"})})[0].error().code, Code::store_full) << "its key has no room";
  EXPECT_EQ(announced(*log), "ephemeral/x ephemeral/y ");
}

// A CloudEvent's source and id are its key (threat 38); they are not for another event.
TEST_F(LogTest, AKnownEventWithAnotherBodyIsRefusedWithItsBatch) {
  const auto batch = [](std::vector<std::pair<std::string, std::uint8_t>> events) {
    auto out = request(std::vector<std::string>(events.size(), "a"));
    for (const auto& [key, body] : events) {
      out.event_keys.push_back(key);
      out.event_bodies.emplace_back()[0] = body;
    }
    return out;
  };
  ASSERT_TRUE(publish({batch({{"x", 1}})})[0]);
  const auto outcomes = publish({batch({{"new", 1}, {"x", 2}}), batch({{"x", 1}, {"other", 1}})});
  EXPECT_EQ(outcomes[0].error().code, Code::idempotency_mismatch);
  EXPECT_EQ(outcomes[0].error().field, "events[1].id");
  ASSERT_TRUE(outcomes[1]) << "only what is new is stored";
  EXPECT_EQ(outcomes[1].value().events[0].cursor.offset, 1u);
  EXPECT_EQ(outcomes[1].value().events[0].seq, 1u);
  EXPECT_EQ(outcomes[1].value().events[1].cursor.offset, 2u);
  EXPECT_EQ(log->tail().head(), 2u);
  auto theirs = batch({{"x", 2}});
  theirs.principal = "backend:other";
  EXPECT_TRUE(publish({std::move(theirs)})[0]) << "of another it is another key";
}

TEST_F(LogTest, WhatIsDueIsNotPublishedIfWhoScheduledItWasRevoked) {
  LogOptions options;
  options.stands = [](const Scheduled& scheduled) {
    EXPECT_EQ(scheduled.token_id, "jti");
    EXPECT_EQ(scheduled.issued, Timestamp{Duration{77}});
    return scheduled.event.topic != "evil";
  };
  log = std::move(Log::open(*store, options, Epoch{8})).value();
  auto later = request({"good", "evil", "good"});
  later.deliver_at = std::vector<Timestamp>(3, clock.wall() + std::chrono::minutes(1));
  later.token_id = "jti";
  later.issued = Timestamp{Duration{77}};
  ASSERT_TRUE(publish({std::move(later)})[0]);
  clock.advance(std::chrono::minutes(1));
  ASSERT_TRUE(log->maintain(clock.wall()).value());
  EXPECT_EQ(announced(*log), "good good ");
  EXPECT_EQ(log->refused_due(), 1u);
  EXPECT_TRUE(disk.scheduled.empty());
}

// Rows that are not indexed are found nowhere else.
TEST_F(LogTest, TheTailKeepsWhatIsNotIndexedThoughItIsFull) {
  disk.index_lags = true;
  LogOptions options;
  options.tail_bytes_max = 2000;
  log = std::move(Log::open(*store, options, Epoch{8})).value();
  const auto publish_some = [&] {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(publish({request({"a"})})[0]);
  };
  disk.index_full = true;
  publish_some();
  EXPECT_EQ(log->tail().since(0).low, 0u);
  EXPECT_EQ(log->tail().since(0).batches.size(), 20u);
  disk.index_full = false;
  ASSERT_TRUE(store->index_now());
  disk.index_full = true;
  publish_some();
  EXPECT_EQ(log->tail().since(0).low, 20u);
}

// How many of these requests a group takes in before it has no room left.
std::size_t taken_in(Log& log, const std::vector<PublishRequest>& requests) {
  log.begin_group(Timestamp{});
  std::size_t taken = 0;
  bool room = true;
  while (room && taken < requests.size()) room = log.add(PublishRequest(requests[taken++])).room;
  EXPECT_EQ(log.commit_group().size(), taken);
  return taken;
}

TEST_F(LogTest, AGroupIsBoundedByRowsButHoldsOneRequestWhole) {
  std::vector<PublishRequest> requests;
  requests.push_back(request(std::vector<std::string>(1000, "a")));
  requests.push_back(request({"b"}));
  EXPECT_EQ(taken_in(*log, requests), 1u);
  EXPECT_EQ(log->tail().head(), 1000u);
  requests.erase(requests.begin());
  for (int i = 0; i < 300; ++i) requests.push_back(request({"c"}));
  EXPECT_EQ(taken_in(*log, requests), limits::commit_rows_max);
}

TEST_F(LogTest, TheFirstRequestFitsWhateverItBrings) {
  const auto large = request(std::vector<std::string>(limits::commit_rows_max + 1, "a"));
  log->begin_group(clock.wall());
  EXPECT_TRUE(log->fits(large));
  EXPECT_TRUE(log->add(request({"b"})).room);
  EXPECT_FALSE(log->fits(large));
  EXPECT_TRUE(log->fits(request(std::vector<std::string>(limits::commit_rows_max - 1, "a"))));
  log->commit_group();
}

TEST_F(LogTest, AGroupIsBoundedByBytes) {
  std::vector<PublishRequest> requests;
  for (int i = 0; i < 200; ++i) {
    requests.push_back(request({"a"}));
    requests.back().events[0].data = std::string(60'000, 'x');
  }
  EXPECT_EQ(taken_in(*log, requests), limits::group_bytes_max / 60'000 + 1);
}

TEST_F(LogTest, AGroupIsBoundedByTheWorkOfItsCommands) {
  struct Costly final : CommandPlanner {
    explicit Costly(Store& of) : store(of) {}
    void begin_group() override {}
    Result<CommandPlan> plan(const Command&, Timestamp) override {
      // Looks at everything, as a mark of a user with very many follows may.
      for (int i = 0; i < 20; ++i) TRY(store.feed_rows().count({"a", 0, 1000}, {}));
      return CommandPlan{};
    }
    std::vector<Event> tick(Timestamp) override { return {}; }
    Store& store;
  } planner(*store);
  publish({request(std::vector<std::string>(1000, "a"))});
  log->set_planner(planner);
  std::vector<PublishRequest> requests(100);
  for (auto& each : requests) each.command = FollowCommand{"ana", "a", true};
  EXPECT_EQ(taken_in(*log, requests), (limits::group_work_max + 19'999) / 20'000);
}

TEST_F(LogTest, AnErasureGoesInSlicesAndBeginsAGroup) {
  const std::size_t many = limits::housekeeping_rows_max * 2 + 1;
  publish({request(std::vector<std::string>(many, "users/ana")), request({"users/bob"})});
  EraseCommand erasure{"ana"};
  for (const bool more : {true, true, false}) {
    EXPECT_EQ(log->erase_some(erasure).value(), more);
    EXPECT_EQ(disk.log.size() + erasure.after, many + 1);
  }
  EXPECT_EQ(erasure.after, many);
  std::size_t withdrawn = 0;
  for (const auto& batch : log->tail().since(0).batches)
    for (const Entry& entry : batch->entries) withdrawn += entry.withdrawn();
  EXPECT_EQ(withdrawn, many);
  PublishRequest erase;
  erase.command = erasure;
  log->begin_group(clock.wall());
  EXPECT_TRUE(log->fits(erase));
  log->add(request({"b"}));
  EXPECT_FALSE(log->fits(erase)) << "what stands before it may rest on what its slices take out";
  log->commit_group();
  disk.trouble = MemoryDisk::Trouble::failed_before;
  publish({request({"b"})});
  EXPECT_EQ(log->erase_some(erasure).error().code, Code::store_failed);
}

TEST_F(LogTest, ANewOpeningContinuesOffsetsUnderANewEpoch) {
  publish({request({"a"})});
  auto reopened = Log::open(*store, {}, Epoch{8});
  ASSERT_TRUE(reopened);
  EXPECT_EQ(reopened.value()->tail().head(), 1u);
  EXPECT_EQ(reopened.value()->epochs().cursor(1).epoch, Epoch{7});
  EXPECT_EQ(reopened.value()->epochs().cursor(2).epoch, Epoch{8});
}

}  // namespace
}  // namespace belfry
