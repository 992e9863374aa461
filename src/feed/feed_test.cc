#include "feed/feed.h"

#include <gtest/gtest.h>

#include "store/memory_store.h"

namespace belfry {
namespace {

const OwnEventData kData{
    [](Mark mark, const std::vector<Cursor>&, const std::optional<Cursor>&, FeedCounts counts) {
      return std::string(name_of(mark)) + ' ' + std::to_string(counts.unread);
    },
    [](std::string_view topic) { return std::string(topic); },
    [](const Mutes&) { return std::string("mutes"); },
    [](Cursor id) { return to_text(id); },
    [](const Revocation&) { return std::string("revocation"); },
    [](std::string_view user) { return std::string(user); }};

struct FeedTest : ::testing::Test {
  std::unique_ptr<Store> store = make_memory_store();
  ManualClock clock;
  std::unique_ptr<Log> log = open();
  Planner planner{*store, log->epochs(), kData};

  std::unique_ptr<Log> open() {
    auto opened = Log::open(*store, {}, Epoch{7});
    CHECK(opened);
    return std::move(opened).value();
  }
  void SetUp() override { log->set_planner(planner); }

  static PublishRequest notify(std::string topic, std::string type = "message") {
    PublishRequest request;
    Event& event = request.events.emplace_back();
    event.topic = std::move(topic);
    event.type = std::move(type);
    event.notification = R"({"title":"x"})";
    return request;
  }
  static PublishRequest ask(Command command) {
    PublishRequest request;
    request.command = std::move(command);
    return request;
  }
  std::vector<PublishOutcome> publish(std::vector<PublishRequest> requests) {
    return log->publish(requests, clock.wall());
  }
  Cursor send(std::string topic, std::string type = "message") {
    auto outcomes = publish({notify(std::move(topic), std::move(type))});
    CHECK(outcomes[0]);
    return outcomes[0].value().events[0].cursor;
  }
  PublishOutcome run(Command command) { return std::move(publish({ask(std::move(command))})[0]); }
  FeedAnswer feed(FeedStatus status = FeedStatus::active, std::optional<Offset> before = {},
                  std::size_t limit = 20) {
    auto answer = read_feed(store->feed_rows(), {"ana", status, before, limit}, clock.wall());
    CHECK(answer);
    return std::move(answer).value();
  }
  std::vector<Offset> offsets(const FeedAnswer& answer) {
    std::vector<Offset> out;
    for (const auto& item : answer.items) out.push_back(item.event.offset);
    return out;
  }
};

TEST_F(FeedTest, HoldsTheOwnTopicAndWhatIsFollowedWithinItsInterval) {
  send("teams/ops");                                           // 1: before the follow
  send("users/ana");                                           // 2
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));   // 3
  send("teams/ops");                                           // 4
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", false}));  // 5
  send("teams/ops");                                           // 6: after it
  send("users/bob");                                           // 7
  EXPECT_EQ(offsets(feed()), (std::vector<Offset>{4, 2}));
  EXPECT_EQ(feed().counts, (FeedCounts{2, 2}));
  EXPECT_EQ(feed().head, 7u);
}

TEST_F(FeedTest, WhoComesAndGoesWhereNothingIsSaidLeavesNothingBehind) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));
    ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", false}));
  }
  EXPECT_TRUE(store->feed_rows().user("ana").value().follows.empty());
  publish({ask(FollowCommand{"ana", "teams/ops", true}), ask(FollowCommand{"ana", "teams/ops", false})});
  EXPECT_TRUE(store->feed_rows().user("ana").value().follows.empty()) << "in one group";
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));
  const Cursor held = send("teams/ops");
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", false}));
  EXPECT_EQ(offsets(feed()), std::vector<Offset>{held.offset}) << "what was said is kept";
}

TEST_F(FeedTest, CountsAreForgottenWithAnInterval) {
  send("users/ana");
  const Cursor other = send("users/ana");
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));
  const Cursor taken = send("teams/ops");
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::read, {other}, {}}));
  ASSERT_TRUE(run(RetractCommand{taken, Rights{{}, {"#"}}}));
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", false}));
  EXPECT_EQ(feed().counts, (FeedCounts{1, 1}));
}

TEST_F(FeedTest, CountsAreTrueAfterAnIntervalWasForgotten) {
  send("users/ana");
  const Cursor other = send("users/ana");
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));
  const Cursor taken = send("teams/ops");
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::read, {other}, {}}));
  EXPECT_EQ(feed().counts, (FeedCounts{2, 2}));
  ASSERT_TRUE(run(RetractCommand{taken, Rights{{}, {"#"}}}));
  const auto outcomes = publish({ask(FollowCommand{"ana", "teams/ops", false}),
                                 ask(MarkCommand{"ana", Mark::archived, {other}, {}})});
  EXPECT_EQ(outcomes[1].value().command->counts, (FeedCounts{1, 1})) << "in the same group";
  EXPECT_TRUE(store->feed_rows().user("ana").value().follows.empty());
  EXPECT_EQ(feed().counts, (FeedCounts{1, 1}));
}

TEST_F(FeedTest, AnIntervalOfWhichRetentionTookSomethingIsKept) {
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", true}));
  const Cursor taken = send("teams/ops");
  ASSERT_TRUE(store->trim(taken.offset, 100));
  ASSERT_TRUE(run(FollowCommand{"ana", "teams/ops", false}));
  EXPECT_EQ(store->feed_rows().user("ana").value().follows.size(), 1u) << "who was away is told of the loss";
}

TEST_F(FeedTest, AMarkKeepsTheCountsAsNumbers) {
  for (int i = 0; i < 20; ++i) send("users/ana");
  const Cursor last = send("users/ana");
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::read, {last}, {}}));
  const auto counted = store->feed_rows().user("ana").value().counted;
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->at, last.offset);
  EXPECT_EQ(counted->counts, (FeedCounts{20, 20}));
  send("users/ana");
  EXPECT_EQ(feed().counts, (FeedCounts{21, 21}));
  ASSERT_TRUE(run(MuteCommand{"ana", Mutes{{"users/ana"}, {}}}));
  EXPECT_FALSE(store->feed_rows().user("ana").value().counted) << "they were those without mutes";
  EXPECT_EQ(feed().counts, FeedCounts{});
}

TEST_F(FeedTest, FollowingTwiceIsOnce) {
  EXPECT_TRUE(run(FollowCommand{"ana", "t", true}).value().command->changed);
  const auto again = run(FollowCommand{"ana", "t", true});
  EXPECT_FALSE(again.value().command->changed);
  EXPECT_TRUE(again.value().events.empty());
  const auto both = publish({ask(FollowCommand{"ana", "u", true}), ask(FollowCommand{"ana", "u", true})});
  EXPECT_TRUE(both[0].value().command->changed);
  EXPECT_FALSE(both[1].value().command->changed);
  EXPECT_EQ(run(FollowCommand{"ana", "users/ana", true}).error().code, Code::bad_topic);
}

TEST_F(FeedTest, AMarkIsIdempotentAndCounted) {
  const Cursor first = send("users/ana");
  send("users/ana");
  auto marked = run(MarkCommand{"ana", Mark::read, {first}, {}});
  EXPECT_TRUE(marked.value().command->changed);
  EXPECT_EQ(marked.value().command->counts, (FeedCounts{1, 1}));
  marked = run(MarkCommand{"ana", Mark::read, {first}, {}});
  EXPECT_FALSE(marked.value().command->changed);
  EXPECT_TRUE(marked.value().events.empty());
  EXPECT_EQ(offsets(feed(FeedStatus::unread)), (std::vector<Offset>{2}));
  EXPECT_EQ(offsets(feed(FeedStatus::read)), (std::vector<Offset>{1}));
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::archived, {first}, {}}));
  EXPECT_EQ(offsets(feed()), (std::vector<Offset>{2}));
  EXPECT_EQ(offsets(feed(FeedStatus::archived)), (std::vector<Offset>{1}));
}

TEST_F(FeedTest, EverythingUpToHereNeverCoversNewerItems) {
  send("users/ana");
  const Cursor seen = send("users/ana");
  send("users/ana");
  const auto marked = run(MarkCommand{"ana", Mark::read, {}, seen});
  EXPECT_EQ(marked.value().command->counts, (FeedCounts{1, 1}));
  EXPECT_EQ(offsets(feed(FeedStatus::unread)), (std::vector<Offset>{3}));
}

TEST_F(FeedTest, WhatIsNotTheCallersIsAbsent) {
  const Cursor bobs = send("users/bob");
  const Cursor mine = send("users/ana");
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {bobs}, {}}).error().code, Code::unknown_notification);
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {{Epoch{7}, 99}}, {}}).error().code,
            Code::unknown_notification);
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {{Epoch{8}, mine.offset}}, {}}).error().code,
            Code::unknown_notification);
  const auto some = run(MarkCommand{"ana", Mark::read, {mine, bobs}, {}});
  ASSERT_TRUE(some);
  EXPECT_EQ(some.value().command->absent, (std::vector<Cursor>{bobs}));
  EXPECT_EQ(some.value().command->counts.unread, 0u);
}

TEST_F(FeedTest, WhatExpiredIsAbsent) {
  auto request = notify("users/ana");
  request.events[0].expires = clock.wall() + Duration{500};
  const Cursor id = publish({request})[0].value().events[0].cursor;
  clock.advance(Duration{500});
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {id}, {}}).error().code, Code::unknown_notification);
  EXPECT_TRUE(feed().items.empty());
  ASSERT_TRUE(log->maintain(clock.wall()));
  EXPECT_EQ(feed().counts, FeedCounts{});
}

TEST_F(FeedTest, APlaceOfAnotherLogMarksNothing) {
  send("users/ana");
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {}, Cursor{Epoch{9}, 1}}).error().code, Code::bad_cursor);
  EXPECT_EQ(run(MarkCommand{"ana", Mark::read, {}, Cursor{Epoch{7}, 50}}).error().code, Code::bad_cursor);
}

TEST_F(FeedTest, ReadOneByOneStaysOneStep) {
  std::vector<Cursor> ids;
  for (int i = 0; i < 50; ++i) {
    send("users/bob");
    ids.push_back(send("users/ana"));
  }
  for (const Cursor id : ids) ASSERT_TRUE(run(MarkCommand{"ana", Mark::read, {id}, {}}));
  const auto rows = store->feed_rows().user("ana");
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows.value().read.steps(), 1u);
  EXPECT_EQ(feed().counts, FeedCounts{});
}

TEST_F(FeedTest, CommandsOfOneGroupSeeEachOther) {
  const Cursor first = send("users/ana");
  const Cursor second = send("users/ana");
  const auto outcomes = publish({ask(MarkCommand{"ana", Mark::read, {first}, {}}), notify("users/ana"),
                                 ask(MarkCommand{"ana", Mark::read, {second}, {}})});
  EXPECT_EQ(outcomes[0].value().command->counts.unread, 1u);
  EXPECT_EQ(outcomes[2].value().command->counts.unread, 0u);
  // The counts of an event are true where it stands: what the same group published comes after it.
  EXPECT_LT(outcomes[2].value().command->cursor.offset, outcomes[1].value().events[0].cursor.offset);
  EXPECT_EQ(feed().counts.unread, 1u);
}

TEST_F(FeedTest, APageShowsWhatTouchesThoughItWasMarkedOtherwise) {
  const Cursor first = send("users/ana"), second = send("users/ana");
  send("users/ana");
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::seen, {second}, {}}));
  EXPECT_EQ(offsets(feed(FeedStatus::unread)), (std::vector<Offset>{3, 2, 1}));
  ASSERT_TRUE(run(MarkCommand{"ana", Mark::read, {first}, {}}));
  EXPECT_EQ(offsets(feed(FeedStatus::unread)), (std::vector<Offset>{3, 2}));
}

TEST_F(FeedTest, MutesHideAndShowAgain) {
  send("users/ana", "sale.summer");
  send("users/ana", "booking");
  ASSERT_TRUE(run(MuteCommand{"ana", {{}, {"sale.#"}}}));
  EXPECT_EQ(offsets(feed()), (std::vector<Offset>{2}));
  EXPECT_EQ(feed().counts, (FeedCounts{1, 1}));
  ASSERT_TRUE(run(MuteCommand{"ana", {}}));
  EXPECT_EQ(feed().counts, (FeedCounts{2, 2}));
}

TEST_F(FeedTest, PagesGoOnWhereTheyEnded) {
  for (int i = 0; i < 5; ++i) send("users/ana");
  auto page = feed(FeedStatus::active, {}, 2);
  EXPECT_EQ(offsets(page), (std::vector<Offset>{5, 4}));
  ASSERT_EQ(page.next, Offset{4});
  page = feed(FeedStatus::active, page.next, 2);
  EXPECT_EQ(offsets(page), (std::vector<Offset>{3, 2}));
  page = feed(FeedStatus::active, page.next, 2);
  EXPECT_EQ(offsets(page), (std::vector<Offset>{1}));
  EXPECT_FALSE(page.next);
}

TEST_F(FeedTest, APageIsBoundedInBytesAndGoesOn) {
  for (int i = 0; i < 12; ++i) {
    auto request = notify("users/ana");
    request.events[0].data = '"' + std::string(60'000, 'd') + '"';
    ASSERT_TRUE(publish({request})[0]);
  }
  const auto first = feed(FeedStatus::active, {}, 100);
  EXPECT_EQ(offsets(first), (std::vector<Offset>{12, 11})) << "the second is over the bound";
  ASSERT_EQ(first.next, Offset{11});
  EXPECT_EQ(offsets(feed(FeedStatus::active, first.next, 100)), (std::vector<Offset>{10, 9}));
  const auto last = feed(FeedStatus::active, Offset{3}, 100);
  EXPECT_EQ(offsets(last), (std::vector<Offset>{2, 1}));
  EXPECT_FALSE(last.next);
}

TEST_F(FeedTest, RetentionBetweenTwoPagesLosesAndRepeatsNothingThatIsLeft) {
  for (int i = 0; i < 10; ++i) send("users/ana");
  const auto first = feed(FeedStatus::active, {}, 4);
  EXPECT_EQ(offsets(first), (std::vector<Offset>{10, 9, 8, 7}));
  ASSERT_TRUE(store->trim(3, 100));
  const auto second = feed(FeedStatus::active, first.next, 4);
  EXPECT_EQ(offsets(second), (std::vector<Offset>{6, 5, 4}));
  EXPECT_FALSE(second.next);
  EXPECT_EQ(second.counts.unread, 7u);
}

TEST_F(FeedTest, AFullDiskDelaysWhatIsScheduled) {
  MemoryDisk disk;
  const auto full = make_memory_store(disk);
  auto opened = std::move(Log::open(*full, {}, Epoch{1})).value();
  auto request = notify("users/ana");
  request.deliver_at = {clock.wall() + Duration{10}};
  std::vector<PublishRequest> group{request};
  ASSERT_TRUE(opened->publish(group, clock.wall())[0]);
  clock.advance(Duration{10});
  disk.trouble = MemoryDisk::Trouble::full;
  EXPECT_FALSE(opened->maintain(clock.wall()));
  EXPECT_EQ(opened->tail().head(), 0u);
  ASSERT_TRUE(opened->maintain(clock.wall()));
  EXPECT_EQ(opened->tail().head(), 1u);
}

TEST_F(FeedTest, WhatIsRetractedOrReplacedIsGoneAndNotCounted) {
  const Cursor first = send("users/ana");
  send("users/ana");
  const Rights rights{{}, {"users/ana"}};
  EXPECT_EQ(run(RetractCommand{first, Rights{{}, {"users/bob"}}}).error().code, Code::unknown_event);
  ASSERT_TRUE(run(RetractCommand{first, rights}));
  EXPECT_EQ(run(RetractCommand{first, rights}).error().code, Code::unknown_event);
  EXPECT_EQ(feed().counts.unread, 1u);
  auto keyed = notify("users/ana");
  keyed.events[0].key = "k";
  publish({keyed});
  publish({keyed});
  EXPECT_EQ(feed().counts.unread, 2u);
  EXPECT_EQ(feed().items.size(), 2u);
}

TEST_F(FeedTest, ErasureLeavesNothing) {
  send("users/ana");
  ASSERT_TRUE(run(FollowCommand{"ana", "t", true}));
  send("t");
  ASSERT_TRUE(run(EraseCommand{"ana"}));
  EXPECT_TRUE(feed().items.empty());
  EXPECT_EQ(feed().counts, FeedCounts{});
  const auto left = store->read_log(0, 100, 100);
  ASSERT_TRUE(left);
  ASSERT_EQ(left.value().size(), 2u);  // the team's, and the word that ana was erased
  EXPECT_EQ(left.value()[1].type, erase_type);
}

// As the log-writer takes in what waits.
TEST_F(FeedTest, AnErasureLeavesNothingOfWhatWasAskedAtTheSameTime) {
  std::vector<PublishRequest> waiting{
      ask(FollowCommand{"ana", "t", true}), ask(MuteCommand{"ana", {{"m"}, {}}}),
      ask(EraseCommand{"ana"}), ask(FollowCommand{"ana", "u", true})};
  log->begin_group(clock.wall());
  for (PublishRequest& request : waiting) {
    if (!log->fits(request)) {
      log->commit_group();
      log->begin_group(clock.wall());
    }
    log->add(std::move(request));
  }
  log->commit_group();
  std::vector<std::string> left;
  const auto kept = store->read_log(0, 100, 100);
  for (const Event& event : kept.value()) left.push_back(event.type);
  EXPECT_EQ(left, (std::vector<std::string>{std::string(erase_type), std::string(follow_type)}));
  const UserRows rows = store->feed_rows().user("ana").value();
  EXPECT_TRUE(rows.mutes.empty());
  ASSERT_EQ(rows.follows.size(), 1u);
  EXPECT_EQ(rows.follows[0].topic, "u") << "it came later";
}

TEST_F(FeedTest, WhatIsScheduledComesWhenItIsDueAndCanBeCancelled) {
  auto request = notify("users/ana");
  request.principal = "backend:a";
  request.events.push_back(request.events[0]);
  request.deliver_at = {clock.wall() + Duration{1000}, clock.wall() + Duration{2000}};
  const auto scheduled = publish({request});
  ASSERT_TRUE(scheduled[0]);
  EXPECT_EQ(scheduled[0].value().events[0].scheduled, 1u);
  EXPECT_TRUE(feed().items.empty());
  EXPECT_EQ(run(CancelCommand{2, "backend:b"}).error().code, Code::unknown_event);
  ASSERT_TRUE(run(CancelCommand{2, "backend:a"}));
  clock.advance(Duration{3000});
  ASSERT_TRUE(log->maintain(clock.wall()));
  EXPECT_EQ(feed().items.size(), 1u);
  ASSERT_TRUE(log->maintain(clock.wall()));
  EXPECT_EQ(feed().items.size(), 1u);
}

}  // namespace
}  // namespace belfry
