// Revocations, tickets, erasure, and time along the log: what ends, and what only ever grows stronger.
#include <gtest/gtest.h>

#include "shelves.h"
#include "store/sqlite/database.h"
#include "store/time_line.h"

namespace belfry {
namespace {

template <class Shelf>
struct AccessContract : ::testing::Test {
  Shelf shelf;
  std::unique_ptr<Store> store;
  AccessContract() { reopen(); }
  void reopen() {
    store.reset();
    store = shelf.open();
    CHECK(store->open(Epoch{++epoch}));
  }
  void apply(Change change) {
    const std::vector<Change> changes{std::move(change)};
    ASSERT_TRUE(store->commit({{}, {}, changes}));
  }
  // One event of the topic at the time, in milliseconds. The clock was put back to it, if it `was` later.
  void publish(const std::string& topic, long time, long was = 0) {
    std::vector<Event> events(1);
    events[0].topic = topic;
    events[0].time = Timestamp{Duration{time}};
    std::vector<Change> changes;
    if (was > time) changes.push_back(PutTimeStep{Timestamp{Duration{was}}, events[0].time, 0});
    ASSERT_TRUE(store->commit({events, {}, changes}));
  }
  void schedule(const std::string& topic, const std::string& principal) {
    Scheduled scheduled;
    scheduled.event.topic = topic;
    scheduled.principal = principal;
    scheduled.deliver_at = Timestamp{Duration{10}};
    scheduled.issued = Timestamp{Duration{123}};
    scheduled.token_id = "jti";
    apply(PutScheduled{std::move(scheduled)});
  }
  // The newest offset whose event is older than the time, as the clock of now has it.
  Offset before(long time, long now = 600) {
    return store->last_older(Duration{now - time}, Timestamp{Duration{now}}).value();
  }
  std::uint64_t epoch = 0;
};
using Shelves = ::testing::Types<MemoryShelf, SqliteShelf>;
TYPED_TEST_SUITE(AccessContract, Shelves);

constexpr Timestamp at(long ms) { return {Duration{ms}}; }

// What the log's time goes on from, though the newest offsets may have no rows any more.
TYPED_TEST(AccessContract, AnOpeningTellsTheTimeOfTheNewestEventThatIsLeft) {
  EXPECT_EQ(this->store->open(Epoch{50}).value().newest, at(0));
  this->publish("a", 100);
  this->publish("a", 200);
  this->publish("b", 300);
  this->apply(Withdraw{3});
  const Opened opened = this->store->open(Epoch{51}).value();
  EXPECT_EQ(opened.head, 3u);
  EXPECT_EQ(opened.newest, at(200));
}

TYPED_TEST(AccessContract, WhatIsOldByOneClockAloneStays) {
  this->publish("a", 1000);
  this->publish("a", 2000);
  const std::vector<RetentionRule> rules{{"a", Duration{500}, {}}};
  const auto swept = [&](const Now& now) {
    std::size_t gone = 0;
    for (int round = 0; round < 4; ++round) gone += this->store->sweep(rules, now, 10).value().size();
    return gone;
  };
  ASSERT_TRUE(this->store->index_now());
  for (const Now& now : {Now{at(9000), at(1400)}, Now{at(1400), at(9000)}}) {
    EXPECT_EQ(this->store->last_older(Duration{500}, now).value(), 0u);
    EXPECT_EQ(swept(now), 0u);
  }
  EXPECT_EQ(this->store->last_older(Duration{500}, Now{at(9000), at(1600)}).value(), 1u);
  EXPECT_EQ(swept({at(9000), at(1600)}), 1u);
  EXPECT_EQ(swept({at(9000), at(9000)}), 1u);
}

TYPED_TEST(AccessContract, ARevocationOnlyGrowsStronger) {
  this->apply(PutRevocation{{"ana", {}, at(100), at(1000)}});
  this->apply(PutRevocation{{"ana", {}, at(50), at(900)}});
  this->apply(PutRevocation{{{}, "jti", at(70), at(1000)}});
  this->reopen();
  const auto rows = this->store->revocations().value();
  ASSERT_EQ(rows.size(), 2u);
  for (const Revocation& row : rows) {
    EXPECT_EQ(row.not_before, row.user == "ana" ? at(100) : at(70));
    EXPECT_EQ(row.forget, at(1000));
  }
}

TYPED_TEST(AccessContract, RevocationsAndTicketsGoWhenTheirTimeIsOver) {
  for (long i = 0; i < 5; ++i) {
    this->apply(PutRevocation{{"user " + std::to_string(i), {}, at(1), at(100 + i)}});
    this->apply(PutTicket{{"ticket " + std::to_string(i), "user:ana", at(100 + i)}, {}});
  }
  EXPECT_EQ(this->store->forget_access(at(99), 100).value(), 0u);
  EXPECT_EQ(this->store->forget_access(at(102), 4).value(), 4u) << "so many rows at once";
  EXPECT_EQ(this->store->forget_access(at(102), 4).value(), 2u);
  EXPECT_EQ(this->store->forget_access(at(102), 4).value(), 0u);
  EXPECT_EQ(this->store->revocations().value().size(), 2u);
  EXPECT_EQ(this->store->tickets().value().size(), 2u);
}

TYPED_TEST(AccessContract, ATicketCountsUntilTheLatestOfItsTimesAndTakesAnothersPlace) {
  this->apply(PutTicket{{"a", "user:ana", at(100)}, {}});
  this->apply(PutTicket{{"a", "user:ana", at(80)}, {}});
  this->apply(PutTicket{{"b", "backend:x", at(80)}, {}});
  this->reopen();
  const auto rows = this->store->tickets().value();
  ASSERT_EQ(rows.size(), 2u);
  for (const UsedTicket& row : rows) EXPECT_EQ(row.until, row.id == "a" ? at(100) : at(80));
  this->apply(PutTicket{{"c", "user:ana", at(90)}, "a"});
  const auto later = this->store->tickets().value();
  for (const UsedTicket& row : later) EXPECT_NE(row.id, "a");
  EXPECT_EQ(later.size(), 2u);
}

TYPED_TEST(AccessContract, WhoScheduledAnEventIsKeptWithIt) {
  this->schedule("a", "user:ana");
  this->reopen();
  const auto due = this->store->due(at(10), 10).value();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].issued, at(123));
  EXPECT_EQ(due[0].token_id, "jti");
}

TYPED_TEST(AccessContract, ErasureTakesWhatIsScheduledForAUserAndByIt) {
  this->schedule("users/ana", "backend:x");
  this->schedule("orders/1", "user:ana");
  this->schedule("orders/1", "user:anabel");
  this->schedule("users/anabel", "backend:x");
  this->apply(PutTicket{{"a", "user:ana", at(100)}, {}});
  this->apply(PutTicket{{"b", "user:anabel", at(100)}, {}});
  this->apply(PutRevocation{{"ana", {}, at(100), at(1000)}});
  const IdempotencyRecord record{"user:ana", "k", {}, 0, 0, at(10)};
  ASSERT_TRUE(this->store->commit({{}, {&record, 1}, {}}));
  this->apply(EraseUser{"ana"});
  std::string left;
  const auto due = this->store->due(at(10), 10).value();
  for (const Scheduled& row : due)
    left += row.event.topic + "<" + row.principal + " ";
  EXPECT_EQ(left, "orders/1<user:anabel users/anabel<backend:x ");
  ASSERT_EQ(this->store->tickets().value().size(), 1u);
  EXPECT_EQ(this->store->tickets().value()[0].id, "b");
  EXPECT_FALSE(this->store->find_idempotency("user:ana", "k").value());
  EXPECT_EQ(this->store->revocations().value().size(), 1u) << "an erased user's tokens stay revoked";
}

TYPED_TEST(AccessContract, AnErasureInSlicesTakesNoMoreThanAskedForAndNothingOfOthers) {
  for (const char* topic : {"users/ana", "users/anabel", "users/ana", "users/bob", "users/ana"})
    this->publish(topic, 100);
  this->schedule("users/ana", "backend:x");
  this->schedule("orders/1", "user:ana");
  this->schedule("orders/1", "user:anabel");
  std::vector<IdempotencyRecord> keys;
  for (const char* key : {"1", "2", "3"}) keys.push_back({"user:ana", key, {}, 0, 0, at(10)});
  ASSERT_TRUE(this->store->commit({{}, keys, {}}));
  EraseUser erasure{"ana"};
  const auto slice = [&](std::size_t rows_max) {
    const Erased erased = this->store->erase_some(erasure, rows_max).value();
    if (!erased.withdrawn.empty()) erasure.after = erased.withdrawn.back();
    std::string told = std::to_string(erased.rows) + (erased.more ? " and more:" : ":");
    for (const Offset offset : erased.withdrawn) told += " " + std::to_string(offset);
    return told;
  };
  EXPECT_EQ(slice(2), "2 and more: 1 3");
  this->reopen();
  EXPECT_EQ(slice(2), "2 and more: 5");
  EXPECT_EQ(this->store->due(at(10), 10).value().size(), 2u);
  EXPECT_EQ(slice(3), "3 and more:");
  EXPECT_EQ(slice(3), "1:");
  EXPECT_EQ(slice(3), "0:");
  EXPECT_EQ(this->store->read_log(0, 10, 10).value().size(), 2u) << "anabel's and bob's";
  EXPECT_EQ(this->store->due(at(10), 10).value().size(), 1u);
  for (const char* key : {"1", "2", "3"})
    EXPECT_FALSE(this->store->find_idempotency("user:ana", key).value());
  // The newest rows may be gone: offsets go on behind them.
  this->reopen();
  this->publish("users/ana", 100);
  EXPECT_EQ(slice(9), "1: 6");
}

TYPED_TEST(AccessContract, TimeIsFoundAlongTheLogThoughTheClockWasPutBack) {
  for (const long time : {100, 200, 9000, 9100}) this->publish("a", time);
  this->publish("a", 300, 9100);
  this->publish("a", 400);
  this->publish("a", 8000);
  this->publish("a", 350, 8000);
  this->publish("a", 500);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(this->before(200), 1u);
    EXPECT_EQ(this->before(201), 2u);
    EXPECT_EQ(this->before(300), 2u);
    EXPECT_EQ(this->before(301), 5u) << "what stands before a step is as old as the step";
    EXPECT_EQ(this->before(350), 5u);
    EXPECT_EQ(this->before(351), 8u);
    EXPECT_EQ(this->before(500), 8u);
    EXPECT_EQ(this->before(501), 9u);
    this->reopen();
  }
}

TYPED_TEST(AccessContract, AClockThatWasBehindOnceMakesNothingOld) {
  for (const long time : {7000, 9000, 9100}) this->publish("a", time);
  this->publish("a", 300, 9100);
  this->publish("a", 8000);
  this->publish("a", 350, 8000);
  this->publish("a", 9200);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(this->before(8000, 8500), 4u) << "the first step is still to come, the second has come";
    EXPECT_EQ(this->before(8001, 8500), 6u);
    EXPECT_EQ(this->before(7000, 9999), 0u);
    EXPECT_EQ(this->before(9000, 9999), 1u);
    EXPECT_EQ(this->before(9100, 9999), 2u);
    EXPECT_EQ(this->before(9101, 9999), 6u);
    EXPECT_EQ(this->before(9201, 9999), 7u);
    this->reopen();
  }
  const std::vector<RetentionRule> rules{{"a", Duration{100}, {}}};
  EXPECT_EQ(this->store->sweep(rules, at(9150), 10).value(), (std::vector<Offset>{1, 2}));
  EXPECT_EQ(this->store->sweep(rules, at(9200), 10).value(), std::vector<Offset>{});
  EXPECT_EQ(this->store->sweep(rules, at(9201), 10).value(), (std::vector<Offset>{3, 4, 5, 6}));
}

TYPED_TEST(AccessContract, RulesLetGoWhatAWrongClockDated) {
  this->publish("a", 9000);
  this->publish("a", 300, 9000);
  const std::vector<RetentionRule> rules{{"a", Duration{100}, {}}};
  EXPECT_EQ(this->store->sweep(rules, at(400), 10).value(), std::vector<Offset>{});
  EXPECT_EQ(this->store->sweep(rules, at(401), 10).value(), (std::vector<Offset>{1, 2}));
}

TYPED_TEST(AccessContract, AStepGoesWhenNothingIsLeftOfTheTimeBefore) {
  this->publish("a", 900);
  this->publish("a", 300, 900);
  this->publish("a", 901);
  ASSERT_TRUE(this->store->trim(1, 10));
  EXPECT_EQ(this->before(301, 901), 0u) << "offset 2 stands behind the step";
  ASSERT_TRUE(this->store->trim(2, 10));
  this->publish("a", 500);
  this->reopen();
  EXPECT_EQ(this->before(902, 9999), 4u);
  ASSERT_TRUE(this->store->trim(3, 10));
  EXPECT_EQ(this->before(501, 9999), 4u) << "no step says more of it";
}

// Whoever asks for more than there is room for has no more of it than the others.
using SqliteAccess = AccessContract<SqliteShelf>;
TEST_F(SqliteAccess, OfWhatIsDueEachPrincipalHasAnEvenPart) {
  for (const char* principal : {"user:many", "user:some", "user:one"})
    for (int i = 0; i < (principal[5] == 'm' ? 40 : principal[5] == 's' ? 20 : 1); ++i)
      schedule("a", principal);
  std::map<std::string, int> parts;
  const auto due = store->due(at(10), 12).value();
  for (const Scheduled& row : due) ++parts[row.principal];
  EXPECT_EQ(parts, (std::map<std::string, int>{{"user:many", 4}, {"user:some", 4}, {"user:one", 1}}));
}

// Each step is one row, and the row goes.
TEST(TimeSteps, AreRowsThatGo) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  std::vector<Event> events(3);
  for (Event& event : events) event.topic = "a";
  events[2].time = at(900);
  const std::vector<Change> changes{PutTimeStep{at(900), at(300), 1}};
  ASSERT_TRUE(store->commit({events, {}, changes}));
  const auto steps = [&](const std::string& which = "true") {
    auto database = sqlite::Database::open(shelf.folder.path("belfry.db"), SQLITE_OPEN_READONLY, {});
    const std::string text = "SELECT count(*) FROM time_steps WHERE " + which;
    sqlite::Statement count = database.value().prepare(text).value();
    EXPECT_TRUE(count.step().value());
    return count.integer(0);
  };
  ASSERT_TRUE(store->trim(1, 10));
  EXPECT_EQ(steps(), 1);
  ASSERT_TRUE(store->trim(2, 10));
  EXPECT_EQ(steps(), 0);
  TimeLine line;
  for (std::size_t i = 0; i <= limits::time_steps_max; ++i) {
    std::vector<Event> one(1);
    one[0].topic = "a";
    const long was = i == 0 ? 5000 : i == 7 ? 400 : 900;
    const std::vector<Change> step{PutTimeStep{at(was), at(300), 0}};
    ASSERT_TRUE(store->commit({one, {}, step}));
    line.add(4 + i, at(was), at(300));
  }
  EXPECT_EQ(steps(), static_cast<std::int64_t>(limits::time_steps_max)) << "the largest are kept";
  EXPECT_EQ(steps("was = 5000"), 1) << "the oldest may be the largest";
  EXPECT_EQ(steps("was = 400"), 0);
  EXPECT_EQ(line.size(), limits::time_steps_max);
  EXPECT_EQ(line.of(5, at(310), at(6000)), at(5000));
}

}  // namespace
}  // namespace belfry
