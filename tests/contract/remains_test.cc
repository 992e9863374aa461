// What events leave behind when they go does not stay for ever, on every store; and whoever might have
// missed something by it is told.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <iterator>
#include <set>

#include "shelves.h"
#include "store/feed_steps.h"

namespace belfry {
namespace {

using std::chrono::hours;

template <class Shelf>
struct Remains : ::testing::Test {
  Shelf shelf;
  std::unique_ptr<Store> store = shelf.open();
  Timestamp now{Duration{1'790'000'000'000}};
  std::uint64_t epoch = 1;

  void SetUp() override { ASSERT_TRUE(store->open(Epoch{epoch})); }
  void reopen() {
    store = nullptr;
    store = shelf.open();
    ASSERT_TRUE(store->open(Epoch{++epoch}));
  }
  // The last one's offset.
  Offset publish(const std::string& topic, std::size_t count = 1, std::vector<Change> changes = {}) {
    std::vector<Event> events(count);
    for (Event& event : events) {
      event.topic = topic;
      event.type = "news";
      event.time = now;
      event.notification = "{}";
    }
    CHECK(store->commit({events, {}, changes}));
    last_seq = events.back().seq;
    return events.back().offset;
  }
  void change(Change change) {
    const std::vector<Change> changes{std::move(change)};
    CHECK(store->commit({{}, {}, changes}));
  }
  void trim(Offset upto) { CHECK(store->trim(upto, 1'000'000)); }
  // Until a round brings nothing.
  std::size_t forget(Duration later = hours(2), std::size_t rows_max = 64) {
    now = now + later;
    std::size_t slices = 0;
    while (slices < 100'000 && store->forget_remains(now, rows_max).value() > 0) ++slices;
    return slices;
  }
  void forget_all() {
    forget();
    forget(limits::remains_kept);
  }
  Offset floor(const std::string& topic, Offset after) {
    CHECK(store->index_now());
    return store->open_reader().value()->read({{{topic, {}}}, after}).value().floor;
  }
  Page follows(const std::string& user, Offset at) {
    PageRequest request{{}, at};
    request.follows_of = user;
    return store->open_reader().value()->read(request).value();
  }
  UserRows rows(const std::string& user) { return store->feed_rows().user(user).value(); }
  FeedRows& feed() { return store->feed_rows(); }

  Seq last_seq = 0;
};

using Shelves = ::testing::Types<MemoryShelf, SqliteShelf>;
TYPED_TEST_SUITE(Remains, Shelves);

TYPED_TEST(Remains, ATopicWithoutEventsIsForgottenAfterItsTimeAndWhoIsOlderIsTold) {
  const Offset gone = this->publish("old", 3);
  this->trim(gone);
  const Offset head = this->publish("other");
  this->forget();
  this->forget(limits::remains_kept - hours(3));
  EXPECT_EQ(this->feed().floor("old").value(), gone) << "its time is not over";
  EXPECT_EQ(this->floor("other", 1), 0u);
  this->forget(hours(4));
  EXPECT_EQ(this->feed().floor("old").value(), 0u);
  // Whatever is asked for: nobody knows what it was.
  for (const char* topic : {"old", "other", "never"}) {
    EXPECT_EQ(this->floor(topic, gone - 1), gone) << topic;
    EXPECT_EQ(this->floor(topic, gone), 0u) << "nobody needs a reset who knows all of it: " << topic;
  }
  EXPECT_EQ(this->follows("ana", gone - 1).floor, gone);
  EXPECT_EQ(this->follows("ana", gone).floor, 0u);
  EXPECT_EQ(this->store->highest_floor().value(), gone);
  this->reopen();
  EXPECT_EQ(this->floor("other", 0), gone) << "a restart forgets nothing of it";
  EXPECT_EQ(this->publish("old"), head + 1);
  EXPECT_EQ(this->last_seq, 1u) << "its numbers begin anew";
  EXPECT_EQ(this->feed().count({"old", 0, offset_max}, {}).value(), 1u);
}

TYPED_TEST(Remains, ATopicThatGotAnEventMeanwhileStays) {
  this->trim(this->publish("t", 2));
  this->forget();
  this->change(Withdraw{this->publish("t")});
  this->forget(limits::remains_kept - hours(3));
  this->publish("t");
  EXPECT_EQ(this->last_seq, 4u);
  this->forget(hours(24));
  this->trim(4);
  this->forget(limits::remains_kept);
  this->forget(hours(24));
  EXPECT_EQ(this->feed().floor("t").value(), 4u) << "it was not empty all the time";
  // And if nobody looked meanwhile.
  this->forget(limits::remains_kept);
  EXPECT_EQ(this->feed().floor("t").value(), 0u);
  this->trim(this->publish("t"));
  this->forget();
  this->change(Withdraw{this->publish("t")});
  this->forget(limits::remains_kept);
  this->publish("t");
  EXPECT_EQ(this->last_seq, 3u);
}

// The index may lag behind: what is not in it yet is an event all the same.
TYPED_TEST(Remains, ATopicWhoseEventIsNotIndexedYetStays) {
  this->trim(this->publish("t", 2));
  this->forget();
  ASSERT_TRUE(this->store->index_now());
  this->now = this->now + limits::remains_kept + hours(24);
  this->publish("t");
  this->forget();
  EXPECT_EQ(this->feed().floor("t").value(), 2u);
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(this->feed().count({"t", 0, offset_max}, {}).value(), 1u);
}

TYPED_TEST(Remains, ATopicThatIsFollowedStays) {
  const Offset last = this->publish("t", 2, {BeginFollow{"ana", "t", 0}});
  this->trim(last);
  this->forget_all();
  this->forget_all();
  EXPECT_EQ(this->feed().floor("t").value(), last);
  EXPECT_EQ(this->follows("ana", last).follows, std::vector<std::string>{"t"});
}

TYPED_TEST(Remains, AnEndedFollowGoesOnceItHoldsNothing) {
  const Offset since = this->publish("t", 1, {BeginFollow{"ana", "t", 0}});
  const Offset held = this->publish("t");
  const Offset until = this->publish("other", 1, {EndFollow{"ana", "t", 0, false}});
  this->change(PutMutes{"ana", {{"x"}, {}}});
  ReadState read;
  read.apply(Mark::read, 0, held);
  this->change(PutReadState{"ana", read, KnownCounts{until, 0, {}}});
  this->publish("t");
  this->forget_all();
  EXPECT_EQ(this->rows("ana").follows, (std::vector<Follow>{{"t", since, until}})) << "it holds one";
  this->change(Withdraw{held});
  this->forget();
  EXPECT_TRUE(this->rows("ana").follows.empty()) << "nobody lost anything";
  EXPECT_FALSE(this->rows("ana").counted);
  EXPECT_EQ(this->floor("other", 0), 0u);
}

TYPED_TEST(Remains, WhatRetentionTookFromAnEndedFollowIsToldForItsTimeAndByAResetAfterwards) {
  const Offset since = this->publish("t", 1, {BeginFollow{"ana", "t", 0}});
  this->publish("t");
  const Offset until = this->publish("other", 1, {EndFollow{"ana", "t", 0, false}});
  const Offset later = this->publish("t", 3);
  this->publish("t");
  this->trim(later);
  this->forget();
  this->forget(limits::remains_kept - hours(3));
  EXPECT_EQ(this->follows("ana", since).follows, std::vector<std::string>{"t"});
  EXPECT_EQ(this->follows("ana", since).floor, 0u);
  this->forget(hours(4));
  EXPECT_TRUE(this->rows("ana").follows.empty());
  EXPECT_EQ(this->follows("ana", since).floor, until) << "not the floor of t, which is far above";
  EXPECT_EQ(this->follows("ana", until).floor, 0u);
}

TYPED_TEST(Remains, StepsOfAReadStateThatHoldNothingVanish) {
  ReadState read;
  const Offset last = this->publish("users/ana", 600);
  for (Offset at = 2; at <= last; at += 2) read.apply(Mark::read, at - 1, at);
  for (Offset at = 3; at <= last; at += 6) read.apply(Mark::archived, at - 1, at);
  this->change(PutReadState{"ana", read, KnownCounts{last, this->feed().removals({}).value(), {}}});
  this->publish("users/ana", 10);
  this->forget();
  EXPECT_EQ(this->rows("ana").read, read) << "each step holds one";
  this->trim(400);
  for (Offset at = 501; at < last; at += 2) this->change(Withdraw{at});
  this->forget();
  const ReadState kept = this->rows("ana").read;
  for (Offset at = 401; at <= last + 10; ++at) {
    if (at > 500 && at < last && at % 2 == 1) continue;
    EXPECT_EQ(kept.at(at), read.at(at)) << at;
  }
  EXPECT_LE(kept.steps(), 103u) << "100 between 400 and 500, and what was read after it";
  this->trim(last);
  this->forget();
  EXPECT_EQ(this->rows("ana").read.steps(), 0u);
  EXPECT_FALSE(this->rows("ana").counted) << "no row is left";
}

TYPED_TEST(Remains, AReadStateHoldsWhatIsFollowedToo) {
  this->publish("x", 1, {BeginFollow{"ana", "t", 0}});
  const Offset seen = this->publish("t");
  ReadState read;
  read.apply(Mark::read, 0, seen - 1);
  read.apply(Mark::archived, seen - 1, seen);
  this->change(PutReadState{"ana", read, {}});
  this->publish("t");
  this->forget();
  EXPECT_EQ(this->rows("ana").read.at(seen), read.at(seen));
  EXPECT_EQ(this->rows("ana").read.at(seen + 1), ItemState{});
  EXPECT_EQ(this->rows("ana").read.steps(), 1u);
}

// Numbers of topics and of lanes are given again; counts that were known must not come true by it.
TYPED_TEST(Remains, CountsOfAForgottenTopicAreNotKnown) {
  this->publish("users/ana", 3, {PutMutes{"ana", {{"x"}, {}}}});
  this->trim(1);
  const std::vector<FeedSpan> spans{{"users/ana", 0, offset_max}};
  ReadState read;
  this->change(PutReadState{"ana", read, KnownCounts{3, this->feed().removals(spans).value(), {2, 2}}});
  this->trim(3);
  this->forget_all();
  this->publish("users/ana", 2);
  this->change(Withdraw{4});
  const UserRows rows = this->rows("ana");
  EXPECT_FALSE(rows.counted);
  EXPECT_EQ(this->feed().count(spans[0], {}).value(), 1u);
}

TYPED_TEST(Remains, AnEpochWithoutEventsLeavesNothingInTheEnd) {
  for (int i = 0; i < 5; ++i) this->reopen();
  this->publish("t");
  for (int i = 0; i < 110; ++i) this->reopen();
  const auto opened = this->store->open(Epoch{999}).value();
  ASSERT_EQ(opened.epochs.size(), 2 + epochs_spared);
  EXPECT_EQ(opened.epochs[0], (EpochRow{Epoch{1}, 1}));
  EXPECT_EQ(opened.epochs[1], (EpochRow{Epoch{6}, 1}));
  EXPECT_EQ(opened.epochs.back(), (EpochRow{Epoch{999}, 2}));
}

// The newest epoch of a backup has no event there; its cursors are of this log all the same.
TEST(Epochs, OfABackupAreKnownAfterItsRestore) {
  MemoryDisk disk;
  std::vector<Event> events(2);
  ASSERT_TRUE(make_memory_store(disk)->open(Epoch{1}));
  const auto store = make_memory_store(disk);
  ASSERT_TRUE(store->open(Epoch{2}));
  MemoryDisk backup = disk;
  ASSERT_TRUE(store->commit({events}));
  const auto opened = make_memory_store(backup)->open(Epoch{3}).value();
  const auto place = EpochTable(opened.epochs).place({Epoch{2}, 2}, opened.head);
  EXPECT_EQ(place.reset, ResetReason::rewound);
  EXPECT_EQ(place.position, 0u);
}

// Every place of the log while the epoch is the newest one, and whether it is known when that is gone.
TYPED_TEST(Remains, NoCursorIsOfAnEpochThatWasDropped) {
  std::vector<Cursor> given;
  std::uint64_t fresh = 1;
  for (const std::size_t events : {0, 0, 2, 0, 1, 0, 0, 3}) {
    this->reopen();
    const Opened opened = this->store->open(Epoch{1000 + ++fresh}).value();
    Offset head = opened.head;
    if (events > 0) head = this->publish("t", events);
    const EpochTable table(opened.epochs);
    for (Offset at = 0; at <= head; ++at) given.push_back(table.cursor(at));
  }
  for (int i = 0; i < 110; ++i) this->reopen();
  const Opened opened = this->store->open(Epoch{9999}).value();
  const EpochTable table(opened.epochs);
  EXPECT_LE(opened.epochs.size(), 6 + epochs_spared);
  for (const Cursor& cursor : given) {
    const auto place = table.place(cursor, opened.head);
    EXPECT_FALSE(place.reset) << to_text(cursor);
    EXPECT_EQ(place.position, cursor.offset);
  }
}

// Counts that were known once must not come true again, whatever goes and comes.
TYPED_TEST(Remains, RemovalsNeverComeBackToWhatTheyWere) {
  const std::vector<FeedSpan> spans{{"t", 0, offset_max}, {"u", 0, offset_max}};
  std::set<std::uint64_t> seen{this->feed().removals(spans).value()};
  for (int i = 0; i < 30; ++i) {
    const Offset last = this->publish(i % 3 == 0 ? "u" : "t");
    EXPECT_TRUE(seen.contains(this->feed().removals(spans).value())) << "nothing went";
    this->change(Withdraw{last});
    EXPECT_TRUE(seen.insert(this->feed().removals(spans).value()).second) << i;
    EXPECT_EQ(this->feed().count(spans[0], {}).value(), 0u);
  }
}

struct SqliteRemains : Remains<SqliteShelf> {
  std::int64_t number(const std::string& sql) {
    sqlite3* database = nullptr;
    CHECK(sqlite3_open(shelf.folder.path("belfry.db").c_str(), &database) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
    CHECK(sqlite3_step(statement) == SQLITE_ROW);
    const std::int64_t out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return out;
  }
  void execute(const std::string& sql) {
    sqlite3* database = nullptr;
    CHECK(sqlite3_open(shelf.folder.path("belfry.db").c_str(), &database) == SQLITE_OK);
    CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
  }
  // One notification of each of so many types.
  Offset publish_types(const std::string& topic, std::size_t count) {
    std::vector<Event> events(count);
    for (std::size_t i = 0; i < count; ++i) {
      events[i].topic = topic;
      events[i].type = "type." + std::to_string(i);
      events[i].notification = "{}";
    }
    CHECK(store->commit({events}));
    return events.back().offset;
  }
  std::vector<std::string> tables() {
    sqlite3* database = nullptr;
    CHECK(sqlite3_open(shelf.folder.path("belfry.db").c_str(), &database) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database,
                       "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
                       "AND name NOT LIKE 'topic_offsets_%'",
                       -1, &statement, nullptr);
    std::vector<std::string> out;
    while (sqlite3_step(statement) == SQLITE_ROW)
      out.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)));
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return out;
  }
};

TEST_F(SqliteRemains, NoRowIsLeftOfTopicsAndUsersThatAreOver) {
  for (int i = 0; i < 40; ++i) {
    const std::string user = "u" + std::to_string(i);
    std::vector<Event> events(4);
    for (std::size_t n = 0; n < events.size(); ++n) {
      events[n].topic = n % 2 == 0 ? "users/" + user : "t/" + user;
      events[n].type = "type." + std::to_string(n);
      events[n].key = "k";
      events[n].notification = "{}";
    }
    ReadState read;
    read.apply(Mark::read, 0, 2);
    const std::vector<Change> changes{BeginFollow{user, "t/" + user, 0}, PutReadState{user, read, {}}};
    ASSERT_TRUE(store->commit({events, {}, changes}));
    publish("x", 1, {EndFollow{user, "t/" + user, 0, false}});
  }
  trim(offset_max);
  for (int i = 0; i < 3; ++i) forget_all();
  EXPECT_EQ(number("SELECT (SELECT count(*) FROM topics) + (SELECT count(*) FROM lanes) + (SELECT count(*) "
                   "FROM dead) + (SELECT count(*) FROM dead_blocks) + (SELECT count(*) FROM keyed) + "
                   "(SELECT count(*) FROM users) + (SELECT count(*) FROM follows) + "
                   "(SELECT count(*) FROM expiry) + "
                   "(SELECT count(*) FROM notifications)"),
            0);
  EXPECT_EQ(publish("t/u1"), 201u);
  EXPECT_EQ(floor("t/u1", 0), 200u);
}

TEST_F(SqliteRemains, AMarkCostsTheSameHoweverManyTypesATopicHad) {
  trim(publish_types("t", 3000) - 10);
  EXPECT_EQ(number("SELECT count(*) FROM lanes"), 11) << "and one that counts what went";
  EXPECT_EQ(number("SELECT sum(removed) FROM lanes"), 2990);
  const std::vector<FeedSpan> spans{{"t", 0, offset_max}};
  const std::vector<OffsetRange> ranges{{0, offset_max}};
  const std::uint64_t before = feed().work();
  EXPECT_EQ(feed().tally(spans, {}, ranges).value(), std::vector<std::uint64_t>{10});
  EXPECT_EQ(feed().newest(spans, {}, ranges, 20).value().size(), 10u);
  EXPECT_EQ(feed().count(spans[0], {}).value(), 10u);
  ASSERT_TRUE(feed().removals(spans));
  EXPECT_LT(feed().work() - before, 5000u);
}

TEST_F(SqliteRemains, ALaneGoesWithItsLastNotificationAlsoIfAnotherTypeReplacesIt) {
  Event event;
  event.topic = "t";
  event.key = "k";
  for (const char* type : {"a", "a", "b", "b", "c"}) {
    event.type = type;
    event.notification = event.type == "c" ? "" : "{}";
    std::vector<Event> events{event};
    ASSERT_TRUE(store->commit({events}));
    EXPECT_EQ(number("SELECT count(*) FROM lanes WHERE type <> '(gone)'"), event.type == "c" ? 0 : 1);
    EXPECT_EQ(number("SELECT count(*) FROM lanes WHERE type = '" + event.type + "'"),
              event.type == "c" ? 0 : 1);
  }
  EXPECT_EQ(number("SELECT sum(removed) FROM lanes"), 4);
}

TEST_F(SqliteRemains, LanesThatAnEarlierVersionLeftEmptyGoInTheFirstRound) {
  publish_types("t", 3);
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO "
      "lanes(topic, type, removed) SELECT (SELECT id FROM topics), 'old.' || i, i FROM n");
  reopen();
  const std::vector<FeedSpan> spans{{"t", 0, offset_max}};
  const std::uint64_t removals = feed().removals(spans).value();
  EXPECT_GT(forget(), 1000u / 64 - 2);
  EXPECT_EQ(number("SELECT count(*) FROM lanes"), 4);
  EXPECT_EQ(feed().removals(spans).value(), removals) << "nothing was taken out";
  EXPECT_EQ(feed().count(spans[0], {}).value(), 3u);
}

TEST_F(SqliteRemains, AnErasureLeavesNoTypeOfWhatTheUserGot) {
  change(Withdraw{publish_types("users/ana", 5)});
  ASSERT_TRUE(store->index_now());
  change(EraseUser{"ana"});
  EXPECT_EQ(number("SELECT count(*) FROM lanes WHERE type LIKE 'type.%'"), 0);
}

TEST_F(SqliteRemains, ARoundIsSlicesAndThenItRests) {
  std::vector<Event> events(5000);
  for (std::size_t i = 0; i < events.size(); ++i) events[i].topic = "t/" + std::to_string(i);
  ASSERT_TRUE(store->commit({events}));
  trim(5000);
  const std::uint64_t before = feed().work();
  ASSERT_GT(store->forget_remains(now, 64).value(), 0u) << "the round goes on";
  EXPECT_EQ(number("SELECT count(*) FROM topics WHERE empty_since IS NOT NULL"), 64);
  EXPECT_LT(feed().work() - before, 25'000u);
  EXPECT_GT(forget(Duration{0}), 5000u / 64 - 2);
  const std::uint64_t worked = feed().work();
  EXPECT_EQ(forget(std::chrono::minutes(59)), 0u);
  EXPECT_EQ(feed().work(), worked) << "it rests";
  EXPECT_GT(forget(std::chrono::minutes(2)), 10u);
  EXPECT_GT(forget(-hours(24 * 365)), 10u) << "also when the clock was put back";
}

TEST_F(SqliteRemains, AUserWithVeryManyStepsAndFollowsIsDoneInSlices) {
  constexpr std::size_t follows = limits::follows_max, steps = limits::read_steps_max;
  std::vector<Change> changes;
  for (std::size_t i = 0; i < follows; ++i)
    changes.push_back(BeginFollow{"ana", "t/" + std::to_string(i), 0});
  publish("x", 1, changes);
  for (std::size_t i = 0; i < follows; ++i) publish("t/" + std::to_string(i));
  Offset last = 0;
  for (std::size_t i = 0; i < steps; i += 1000) last = publish("users/ana", 1000);
  ReadState read;
  for (Offset at = last - steps + 1; at <= last; at += 2) read.apply(Mark::read, at - 1, at);
  change(PutReadState{"ana", read, {}});
  std::uint64_t most = 0;
  now = now + hours(2);
  std::size_t slices = 0;
  for (bool more = true; more; ++slices) {
    const std::uint64_t before = feed().work();
    more = store->forget_remains(now, 64).value() > 0;
    most = std::max(most, feed().work() - before);
  }
  EXPECT_GT(slices, 10u);
  EXPECT_LT(most, 150'000u);
  EXPECT_EQ(rows("ana").read, read);
}

TEST_F(SqliteRemains, TheNewestTenThousandEpochsAreKept) {
  publish("t", 30'000);
  execute(
      "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO "
      "epochs(epoch, first_offset) SELECT i, i FROM n");
  store = nullptr;
  store = shelf.open();
  const Opened opened = store->open(Epoch{99'999}).value();
  EXPECT_EQ(opened.epochs.size(), 10'000u);
  EXPECT_EQ(opened.epochs.back(), (EpochRow{Epoch{99'999}, 30'001}));
  EXPECT_EQ(opened.epochs.front(), (EpochRow{Epoch{2002}, 2002}));
}

// ARCHITECTURE.md says of each table who takes rows out of it.
TEST_F(SqliteRemains, EveryTableSaysWhoTakesRowsOut) {
  std::ifstream file(std::string(BELFRY_SOURCE) + "/ARCHITECTURE.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = text.find("## Who takes rows out");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = text.substr(begin, text.find("\n## ", begin) - begin);
  const std::vector<std::string> names = tables();
  EXPECT_GT(names.size(), 15u);
  for (const std::string& name : names)
    EXPECT_NE(section.find("\n| `" + name + "` |"), std::string::npos) << name;
}

}  // namespace
}  // namespace belfry
