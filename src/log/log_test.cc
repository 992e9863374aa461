#include "log/log.h"

#include <gtest/gtest.h>

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
  std::unique_ptr<Store> store = make_memory_store();
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
  EXPECT_EQ(later[1].error().code, Code::idempotency_mismatch);
  EXPECT_EQ(log->tail().head(), 1u);
}

TEST_F(LogTest, KeysAreForgottenAfterADay) {
  publish({request({"a"}, "k")});
  clock.advance(std::chrono::hours(25));
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

// How many of these requests a group takes in before it has no room left.
std::size_t taken_in(Log& log, const std::vector<PublishRequest>& requests) {
  log.begin_group(Timestamp{});
  std::size_t taken = 0;
  bool room = true;
  while (room && taken < requests.size()) room = log.add(requests[taken++]).room;
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
  for (auto& each : requests) each.command = EraseCommand{"ana"};
  EXPECT_EQ(taken_in(*log, requests), (limits::group_work_max + 19'999) / 20'000);
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
