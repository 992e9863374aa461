// What every store promises of feeds, keys, expiry, schedules and rules: the same random history on both
// implementations gives the same answers. One of them looks at everything, the other one does arithmetic.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <random>
#include <set>

#include "shelves.h"

namespace belfry {
namespace {

constexpr std::int64_t kBegin = 1'790'000'000'000;

struct Twins {
  explicit Twins(std::uint64_t seed) : random(seed) { open(); }

  std::uint64_t pick(std::uint64_t n) { return random() % n; }
  Timestamp now() const { return Timestamp{Duration{kBegin + time}}; }

  void open() {
    stores[0] = nullptr;
    stores[1] = nullptr;
    stores[0] = memory_shelf.open();
    stores[1] = sqlite_shelf.open();
    ++epoch;
    for (auto& store : stores) ASSERT_TRUE(store->open(Epoch{epoch}));
  }

  std::string topic() { return pick(3) == 0 ? "users/" + user() : "t/" + std::to_string(pick(4)); }
  std::string user() { return pick(2) == 0 ? "ana" : "bob"; }

  Event event() {
    Event out;
    out.topic = topic();
    out.type = pick(3) == 0 ? std::string(mark_type) : pick(2) == 0 ? "a.b" : "c";
    const bool own = out.type == mark_type;
    if (own) out.topic = "users/" + user();
    out.time = now();
    if (!own && pick(3) != 0) out.notification = R"({"title":"x"})";
    if (!own && pick(4) == 0) out.key = "k" + std::to_string(pick(3));
    if (!own && pick(6) == 0) out.expires = now() + Duration{static_cast<std::int64_t>(pick(300))};
    return out;
  }

  Change change(std::size_t events) {
    switch (pick(7)) {
      case 0:
        return BeginFollow{user(), "t/" + std::to_string(pick(4)), pick(events)};
      case 1:
        return EndFollow{user(), "t/" + std::to_string(pick(4)), pick(events), pick(3) == 0};
      case 2:
        return Withdraw{1 + pick(head + 1)};
      case 3: {
        ReadState state;
        state.apply(Mark::read, pick(50), 50 + pick(200));
        return PutReadState{user(), state, KnownCounts{pick(head + 1), pick(100), {pick(9), pick(9)}}};
      }
      case 4:
        return PutMutes{user(), {{"t/" + std::to_string(pick(4))}, {}}};
      case 5: {
        Scheduled scheduled{0, now() + Duration{static_cast<std::int64_t>(pick(200))}, "p", event()};
        scheduled.event.time = {};  // given when it is delivered
        return PutScheduled{scheduled};
      }
      default:
        return pick(20) == 0 ? Change{EraseUser{user()}} : Change{DropScheduled{1 + pick(30)}};
    }
  }

  // A user begins to follow a topic only where none is followed.
  void keep_sensible(std::vector<Change>& changes) {
    std::erase_if(changes, [&](const Change& change) {
      const auto* begin = std::get_if<BeginFollow>(&change);
      if (begin == nullptr) return false;
      const UserRows rows = stores[0]->feed_rows().user(begin->user).value();
      return changes.size() > 1 ||
             std::any_of(rows.follows.begin(), rows.follows.end(),
                         [&](const Follow& f) { return f.topic == begin->topic && !f.to; });
    });
  }

  void commit() {
    std::vector<Event> events(1 + pick(8));
    for (auto& made : events) made = event();
    std::vector<Change> changes(pick(3));
    for (auto& made : changes) made = change(events.size());
    keep_sensible(changes);
    auto copy = events;
    auto a = stores[0]->commit({events, {}, changes});
    auto b = stores[1]->commit({copy, {}, changes});
    ASSERT_TRUE(a && b) << b.error().text();
    ASSERT_EQ(events, copy);
    std::sort(a.value().withdrawn.begin(), a.value().withdrawn.end());
    std::sort(b.value().withdrawn.begin(), b.value().withdrawn.end());
    ASSERT_EQ(a.value().withdrawn, b.value().withdrawn);
    ASSERT_EQ(a.value().first_scheduled, b.value().first_scheduled);
    head += events.size();
  }

  void maintain() {
    const auto expired = stores[0]->expired(now(), 10'000).value();
    auto others = stores[1]->expired(now(), 10'000).value();
    std::sort(others.begin(), others.end());
    ASSERT_EQ(expired, others);
    std::vector<Change> changes;
    for (const Offset offset : expired) changes.push_back(Withdraw{offset});
    for (auto& store : stores) ASSERT_TRUE(store->commit({{}, {}, changes}));
    const auto due = stores[0]->due(now(), 5).value(), also_due = stores[1]->due(now(), 5).value();
    ASSERT_EQ(due.size(), also_due.size());
    for (std::size_t i = 0; i < due.size(); ++i) ASSERT_EQ(due[i].event, also_due[i].event);
  }

  void retain() {
    const std::vector<RetentionRule> rules{
        {"users/#", Duration{500}, 20}, {"t/1", {}, 10}, {"t/2", Duration{300}, {}}};
    for (auto& store : stores) {
      ASSERT_TRUE(store->index_now());
      // Until two rounds bring nothing: the sweep may be in the middle of one.
      for (int quiet = 0; quiet < 3;)
        quiet = store->sweep(rules, now(), 1'000'000).value().empty() ? quiet + 1 : 0;
    }
    if (pick(4) == 0) {
      const Offset upto = pick(head + 1);
      for (auto& store : stores) ASSERT_TRUE(store->trim(upto, 1'000'000));
    }
  }

  void erase_some() {
    const EraseUser erasure{user(), pick(head + 1)};
    const std::size_t rows_max = 1 + pick(20);
    const Erased a = stores[0]->erase_some(erasure, rows_max).value();
    const Erased b = stores[1]->erase_some(erasure, rows_max).value();
    ASSERT_EQ(a.withdrawn, b.withdrawn);
    ASSERT_EQ(a.rows, b.rows);
    ASSERT_EQ(a.more, b.more);
  }

  void let_months_pass() {
    for (int i = 0; i < 4; ++i) {
      time += std::chrono::duration_cast<Duration>(limits::remains_kept).count() / 2;
      for (auto& store : stores)
        while (store->forget_remains(now(), 64).value() > 0) continue;
    }
    ASSERT_EQ(stores[0]->highest_floor().value(), stores[1]->highest_floor().value());
  }

  void compare() {
    FeedRows &a = stores[0]->feed_rows(), &b = stores[1]->feed_rows();
    ASSERT_EQ(a.head().value(), b.head().value());
    for (const std::string name : {"ana", "bob"}) {
      UserRows x = a.user(name).value(), y = b.user(name).value();
      const auto by_place = [](const Follow& l, const Follow& r) {
        return std::tie(l.topic, l.from) < std::tie(r.topic, r.from);
      };
      std::sort(x.follows.begin(), x.follows.end(), by_place);
      std::sort(y.follows.begin(), y.follows.end(), by_place);
      ASSERT_EQ(x.follows, y.follows);
      ASSERT_EQ(x.read, y.read);
      ASSERT_EQ(x.mutes, y.mutes);
      ASSERT_EQ(x.counted, y.counted);
    }
    std::vector<FeedSpan> spans;
    for (const std::string name : {"users/ana", "users/bob", "t/0", "t/1", "t/2", "t/3"}) {
      const Offset after = pick(head + 1);
      spans.push_back({name, after, after + 1 + pick(head + 1)});
    }
    const Mutes mutes = pick(2) == 0 ? Mutes{} : Mutes{{"t/1"}, {"a.#"}};
    for (const FeedSpan& span : spans)
      ASSERT_EQ(a.count(span, mutes).value(), b.count(span, mutes).value()) << span.topic;
    const std::size_t limit = 1 + pick(30);
    std::vector<OffsetRange> ranges;
    for (Offset at = pick(5); at < head + 5; at += 1 + pick(pick(3) == 0 ? 40 : 4)) {
      const Offset upto = at + 1 + pick(pick(3) == 0 ? 60 : 3);
      ranges.push_back({at, upto});
      at = upto;
      if (pick(3) == 0) --at;  // the next one touches
    }
    ASSERT_EQ(a.tally(spans, mutes, ranges).value(), b.tally(spans, mutes, ranges).value());
    ASSERT_EQ(a.newest(spans, mutes, ranges, limit).value(), b.newest(spans, mutes, ranges, limit).value());
    const std::vector<OffsetRange> all{{0, offset_max}};
    ASSERT_EQ(a.newest(spans, mutes, all, limit).value(), b.newest(spans, mutes, all, limit).value());
    PageRequest request{{}, pick(head + 1)};
    request.follows_of = user();
    Page x = stores[0]->open_reader().value()->read(request).value();
    Page y = stores[1]->open_reader().value()->read(request).value();
    std::sort(x.follows.begin(), x.follows.end());
    std::sort(y.follows.begin(), y.follows.end());
    ASSERT_EQ(x.follows, y.follows);
    ASSERT_EQ(x.floor, y.floor);
    ASSERT_EQ(stores[0]->read_log(0, head, 100'000).value(), stores[1]->read_log(0, head, 100'000).value());
  }

  std::mt19937_64 random;
  MemoryShelf memory_shelf;
  SqliteShelf sqlite_shelf;
  std::unique_ptr<Store> stores[2];
  std::uint64_t epoch = 0;
  std::int64_t time = 0;
  Offset head = 0;
};

TEST(FeedContract, MemoryAndSqliteAgree) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Twins twins(seed);
    for (int step = 0; step < 200 && !::testing::Test::HasFatalFailure(); ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      twins.time += static_cast<std::int64_t>(twins.pick(20));
      const auto what = twins.pick(20);
      if (what < 11) {
        twins.commit();
      } else if (what < 13) {
        twins.maintain();
      } else if (what == 13) {
        twins.retain();
      } else if (what == 16) {
        twins.erase_some();
      } else if (what == 15 && twins.pick(4) == 0) {
        twins.retain();
        twins.let_months_pass();
      } else if (what == 14 && twins.pick(3) == 0) {
        twins.open();
      } else {
        twins.compare();
      }
    }
  }
}

std::vector<Event> notifications(const std::string& topic, std::size_t count, const std::string& key = {}) {
  std::vector<Event> events(count);
  for (Event& event : events) {
    event.topic = topic;
    event.time = Timestamp{Duration{kBegin}};
    event.notification = R"({"title":"x"})";
    event.key = key;
  }
  return events;
}

// The goal is that counting does not depend on history; SQLite counts its own steps.
TEST(SqliteFeed, CountingCostsTheSameWhateverTheHistory) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  std::uint64_t costs[2];
  for (int round = 0; round < 2; ++round) {
    for (int batch = 0; batch < (round == 0 ? 2 : 98); ++batch) {
      auto events = notifications("users/ana", 500);
      ASSERT_TRUE(store->commit({events}));
    }
    FeedRows& rows = store->feed_rows();
    const std::uint64_t before = rows.work();
    ASSERT_EQ(rows.count({"users/ana", 10, offset_max}, {}).value(), (round == 0 ? 1000u : 50'000u) - 10u);
    costs[round] = rows.work() - before;
  }
  EXPECT_LE(costs[1], costs[0] * 11 / 10);
}

// What was taken out of the middle of a lane is counted by blocks of numbers.
TEST(SqliteFeed, CountsAreTrueWhereMuchWasTakenOut) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  constexpr Offset kEvents = 5000;
  for (Offset at = 0; at < kEvents; at += 500) {
    auto events = notifications("users/ana", 500);
    ASSERT_TRUE(store->commit({events}));
  }
  std::mt19937_64 random(7);
  std::vector<bool> there(kEvents + 1, true);
  const auto withdraw = [&](Offset from, Offset upto, unsigned part) {
    std::vector<Change> gone;
    for (Offset at = from; at <= upto; ++at) {
      if (!there[at] || random() % part != 0) continue;
      there[at] = false;
      gone.push_back(Withdraw{at});
    }
    ASSERT_TRUE(store->commit({{}, {}, gone}));
  };
  for (const auto& [from, until, part] :
       {std::tuple<Offset, Offset, unsigned>{2, 4900, 3}, {1000, 3500, 2}, {1, 30, 1}, {4980, 5000, 1}}) {
    withdraw(from, until, part);
    for (int i = 0; i < 60; ++i) {
      const Offset after = random() % kEvents, upto = after + random() % (kEvents - after + 1);
      const auto begin = there.begin() + static_cast<std::ptrdiff_t>(after) + 1;
      const auto left = std::count(begin, there.begin() + static_cast<std::ptrdiff_t>(upto) + 1, true);
      const auto counted = store->feed_rows().count({"users/ana", after, upto}, {}).value();
      ASSERT_EQ(counted, static_cast<std::uint64_t>(left)) << after << " " << upto;
    }
  }
}

TEST(SqliteFeed, ABroadcastIsOneRowHoweverManyFollow) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  std::vector<Event> setup(1);
  setup[0].topic = "setup";
  std::vector<Change> changes;
  for (int i = 0; i < 5000; ++i) changes.push_back(BeginFollow{"u" + std::to_string(i), "everybody", 0});
  ASSERT_TRUE(store->commit({setup, {}, changes}));
  auto broadcast = notifications("everybody", 1);
  ASSERT_TRUE(store->commit({broadcast}));
  EXPECT_EQ(store->read_log(0, 10, 10).value().size(), 2u);
  for (const char* user : {"u0", "u4999"}) {
    const UserRows rows = store->feed_rows().user(user).value();
    ASSERT_EQ(rows.follows.size(), 1u);
    EXPECT_EQ(store->feed_rows().count({"everybody", rows.follows[0].from, offset_max}, {}).value(), 1u);
  }
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(shelf.folder.path("belfry.db").c_str(), &database), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database, "SELECT (SELECT count(*) FROM notifications) + (SELECT count(*) FROM users)",
                     -1, &statement, nullptr);
  sqlite3_step(statement);
  EXPECT_EQ(sqlite3_column_int64(statement, 0), 1) << "no row for a user";
  sqlite3_finalize(statement);
  sqlite3_close(database);
}

std::int64_t rows_of(const SqliteShelf& shelf, const std::string& table) {
  sqlite3* database = nullptr;
  CHECK(sqlite3_open(shelf.folder.path("belfry.db").c_str(), &database) == SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database, ("SELECT count(*) FROM " + table).c_str(), -1, &statement, nullptr);
  sqlite3_step(statement);
  const std::int64_t rows = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return rows;
}

TEST(SqliteFeed, AProgressNotificationLeavesNothingBehind) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  auto other = notifications("users/ana", 1);
  ASSERT_TRUE(store->commit({other}));
  for (int i = 0; i < 2000; ++i) {
    auto event = notifications("users/ana", 1, "progress");
    ASSERT_TRUE(store->commit({event}));
  }
  EXPECT_EQ(store->feed_rows().count({"users/ana", 0, offset_max}, {}).value(), 2u);
  for (const char* table : {"dead", "keyed", "notifications", "events"})
    EXPECT_LE(rows_of(shelf, table), 2) << table;
  // The index goes on although every row of it went before it came.
  ASSERT_TRUE(store->index_now());
  EXPECT_EQ(store->indexed(), 2001u);
}

TEST(SqliteFeed, NothingIsBuriedAtAnEndOfALane) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  auto events = notifications("t", 6);
  ASSERT_TRUE(store->commit({events}));
  // From the beginning, from the end, and one within, which is dead until its neighbours are gone.
  for (const Offset offset : {1u, 2u, 6u, 4u}) {
    const std::vector<Change> gone{Withdraw{offset}};
    ASSERT_TRUE(store->commit({{}, {}, gone}));
    EXPECT_EQ(rows_of(shelf, "dead"), offset == 4 ? 1 : 0) << offset;
  }
  const std::vector<Change> gone{Withdraw{3}};
  ASSERT_TRUE(store->commit({{}, {}, gone}));
  EXPECT_EQ(rows_of(shelf, "dead"), 0);
  EXPECT_EQ(store->feed_rows().count({"t", 0, offset_max}, {}).value(), 1u);
}

// Of a lane that keeps few of very many, its ends take what is dead beside them along, in whole blocks.
TEST(SqliteFeed, TheSumsOfTheDeadAreThoseOfTheDead) {
  SqliteShelf shelf;
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  auto events = notifications("t", 6000);
  ASSERT_TRUE(store->commit({events}));
  const auto withdraw = [&](const std::vector<Offset>& offsets) {
    std::vector<Change> gone;
    for (const Offset offset : offsets) gone.push_back(Withdraw{offset});
    ASSERT_TRUE(store->commit({{}, {}, gone}));
    EXPECT_EQ(rows_of(shelf, "lanes WHERE dead <> (SELECT count(*) FROM dead WHERE lane = id)"), 0);
    const std::string counted = "SELECT lane, n / 1024, count(*) FROM dead GROUP BY 1, 2";
    const std::string summed = "SELECT lane, block, count FROM dead_blocks";
    EXPECT_EQ(rows_of(shelf, '(' + counted + " EXCEPT " + summed + ')'), 0);
    EXPECT_EQ(rows_of(shelf, '(' + summed + " EXCEPT " + counted + ')'), 0);
  };
  const std::set<Offset> kept{1, 500, 3000, 3010, 5500, 6000};
  std::vector<Offset> others;
  for (Offset offset = 1; offset <= 6000; ++offset)
    if (!kept.contains(offset)) others.push_back(offset);
  withdraw(others);
  EXPECT_EQ(rows_of(shelf, "dead"), 5994);
  std::size_t left = kept.size();
  const std::map<Offset, std::int64_t> dead_after{
      {6000, 5495}, {5500, 3006}, {1, 2508}, {500, 9}, {3010, 0}};
  for (const Offset offset : {6000u, 5500u, 1u, 500u, 3010u}) {
    withdraw({offset});
    EXPECT_EQ(rows_of(shelf, "dead"), dead_after.at(offset)) << offset;
    EXPECT_EQ(store->feed_rows().count({"t", 0, offset_max}, {}).value(), --left);
  }
  EXPECT_EQ(rows_of(shelf, "dead_blocks"), 0);
}

TEST(SqliteFeed, NumbersAreNotGivenTwiceAfterTheNewestEventWent) {
  SqliteShelf shelf;
  auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{1}));
  auto events = notifications("t", 3);
  ASSERT_TRUE(store->commit({events}));
  const std::vector<Change> gone{Withdraw{3}};
  ASSERT_TRUE(store->commit({{}, {}, gone}));
  store.reset();
  store = shelf.open();
  const auto opened = store->open(Epoch{2});
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened.value().head, 3u);
  auto more = notifications("t", 1);
  ASSERT_TRUE(store->commit({more}));
  EXPECT_EQ(more[0].offset, 4u);
  EXPECT_EQ(more[0].seq, 4u);
}

TEST(FeedContract, RemovalsTellWhateverIsTakenOut) {
  SqliteShelf shelf;
  const auto sqlite = shelf.open();
  const auto memory = make_memory_store();
  for (Store* store : {sqlite.get(), memory.get()}) {
    ASSERT_TRUE(store->open(Epoch{1}));
    std::vector<Event> events(4);
    for (Event& event : events) {
      event.topic = "t";
      event.notification = "{}";
    }
    events[0].key = "k";
    ASSERT_TRUE(store->commit({events}));
    ASSERT_TRUE(store->index_now());
    const std::vector<FeedSpan> spans{{"t", 0, offset_max}}, others{{"u", 0, offset_max}};
    const std::uint64_t others_before = store->feed_rows().removals(others).value();
    std::uint64_t last = store->feed_rows().removals(spans).value();
    const auto changed = [&] {
      const std::uint64_t before = std::exchange(last, store->feed_rows().removals(spans).value());
      return before != last;
    };
    EXPECT_FALSE(changed());
    const std::vector<Change> withdraw{Withdraw{2}};
    ASSERT_TRUE(store->commit({{}, {}, withdraw}));
    EXPECT_TRUE(changed());
    std::vector<Event> again(events.begin(), events.begin() + 1);
    ASSERT_TRUE(store->commit({again}));
    EXPECT_TRUE(changed()) << "replaced by its key";
    ASSERT_TRUE(store->trim(3, 10));
    EXPECT_TRUE(changed()) << "by retention";
    ASSERT_TRUE(store->trim(3, 10));
    EXPECT_FALSE(changed());
    EXPECT_EQ(store->feed_rows().removals(others).value(), others_before);
  }
}

}  // namespace
}  // namespace belfry
