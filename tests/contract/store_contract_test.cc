// What every store promises (store/store.h), asked of each implementation by the same tests.

#include <gtest/gtest.h>

#include <random>

#include "shelves.h"

namespace belfry {
namespace {

template <class Shelf>
struct StoreContract : ::testing::Test {
  Shelf shelf;
  std::unique_ptr<Store> store = shelf.open();
  std::uint64_t openings = 0;
  Opened opened = open();

  Opened open() {
    auto result = store->open(Epoch{++openings});
    CHECK(result);
    return std::move(result).value();
  }
  void reopen() {
    store.reset();
    store = shelf.open();
    opened = open();
  }
  std::vector<Event> commit(const std::vector<std::string>& topics, const std::string& type = "message") {
    std::vector<Event> events(topics.size());
    for (std::size_t i = 0; i < topics.size(); ++i) {
      events[i].topic = topics[i];
      events[i].type = type;
      events[i].time = Timestamp{Duration{clock++}};
      events[i].data = std::to_string(i);
    }
    CHECK(store->commit({events}));
    return events;
  }
  Page page(std::vector<Selector> selectors, Offset after, std::size_t events_max = 256,
            std::size_t bytes = 1 << 20) {
    auto reader = store->open_reader();
    CHECK(reader);
    auto result = reader.value()->read({std::move(selectors), after, events_max, bytes});
    CHECK(result);
    return std::move(result).value();
  }
  // Everything that follows, page by page, as a session would read it once all is indexed.
  std::vector<Offset> all(const std::vector<Selector>& selectors, Offset after, Offset head,
                          std::size_t events_max = 256) {
    std::vector<Offset> out;
    while (after < head) {
      const Page next = page(selectors, after, events_max);
      EXPECT_GT(next.upto, after) << "a page must move forward";
      if (next.upto <= after) break;
      for (const auto& event : next.events) {
        EXPECT_GT(event.offset, after);
        EXPECT_LE(event.offset, next.upto);
        out.push_back(event.offset);
      }
      after = next.upto;
    }
    return out;
  }
  std::int64_t clock = 1'000;
};

using Shelves = ::testing::Types<MemoryShelf, SqliteShelf>;

struct ShelfNames {
  template <class Shelf>
  static std::string GetName(int) {
    return std::is_same_v<Shelf, MemoryShelf> ? "Memory" : "Sqlite";
  }
};
TYPED_TEST_SUITE(StoreContract, Shelves, ShelfNames);

TYPED_TEST(StoreContract, OffsetsAndSeqsGrowByOneAlsoOverOpenings) {
  auto first = this->commit({"a", "b", "a"});
  EXPECT_EQ(first[0].offset, 1u);
  EXPECT_EQ(first[2].offset, 3u);
  EXPECT_EQ(first[2].seq, 2u);
  EXPECT_EQ(first[0].epoch, Epoch{1});
  this->reopen();
  EXPECT_EQ(this->opened.head, 3u);
  auto second = this->commit({"a", "c"});
  EXPECT_EQ(second[0].offset, 4u);
  EXPECT_EQ(second[0].seq, 3u);
  EXPECT_EQ(second[0].epoch, Epoch{2});
  EXPECT_EQ(this->opened.epochs, (std::vector<EpochRow>{{Epoch{1}, 1}, {Epoch{2}, 4}}));
}

TYPED_TEST(StoreContract, WhatIsReadIsWhatWasCommitted) {
  std::vector<Event> events(1);
  Event& event = events[0];
  event.topic = "users/ana";
  event.type = "refresh";
  event.time = Timestamp{Duration{1'790'000'000'123}};
  event.data = R"({"a":"é\u0000"})";
  event.notification = R"({"title":"x"})";
  event.key = "k";
  event.expires = Timestamp{Duration{1'790'000'009'999}};
  event.keys = R"([["b"]])";
  event.spread_ms = 2000;
  event.version = "7";
  ASSERT_TRUE(this->store->commit({events}));
  ASSERT_TRUE(this->store->index_now());
  const Page page = this->page({{"users/ana", {}}}, 0);
  ASSERT_EQ(page.events.size(), 1u);
  EXPECT_EQ(page.events[0], events[0]);
  EXPECT_EQ(this->store->read_log(0, 10, 10).value().at(0), events[0]);
}

TYPED_TEST(StoreContract, PagesFollowSelectors) {
  for (int i = 0; i < 10; ++i) this->commit({"a/1", "a/2", "b"}, i % 2 == 0 ? "x.y" : "z");
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(this->all({{"a/1", {}}}, 0, 30).size(), 10u);
  EXPECT_EQ(this->all({{"a/+", {}}}, 0, 30).size(), 20u);
  EXPECT_EQ(this->all({{"a/+", {}}, {"a/1", {}}, {"#", {"z"}}}, 0, 30).size(), 25u) << "no event twice";
  EXPECT_EQ(this->all({{"b", {"x.#"}}}, 0, 30).size(), 5u);
  EXPECT_EQ(this->all({{"a/#", {}}}, 12, 30).size(), 12u);
  EXPECT_TRUE(this->all({{"nobody", {}}}, 0, 30).empty());
  EXPECT_EQ(this->all({{"a/#", {}}}, 0, 30, 7).size(), 20u) << "small pages give the same";
  EXPECT_EQ(this->page({{"#", {}}}, 0, 256, 1).events.size(), 1u) << "one event is always given";
}

TYPED_TEST(StoreContract, UptoMovesPastForeignEvents) {
  for (int i = 0; i < 20; ++i) this->commit({"foreign"});
  ASSERT_TRUE(this->store->index_now());
  const Page page = this->page({{"mine", {}}}, 3);
  EXPECT_TRUE(page.events.empty());
  EXPECT_EQ(page.upto, 20u);
}

TYPED_TEST(StoreContract, ManyTopicsUnderOnePattern) {
  std::vector<std::string> topics;
  for (int i = 0; i < 600; ++i) topics.push_back("many/" + std::to_string(i));
  for (int round = 0; round < 10; ++round) this->commit(topics);
  this->commit({"other"});
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(this->all({{"many/+", {}}}, 0, 6001).size(), 6000u);
  EXPECT_EQ(this->all({{"#", {}}}, 5990, 6001).size(), 11u);
}

// Very many selectors, few topics under each pattern or very many: what the pages hold is what the selectors
// accept, one event after the other.
TYPED_TEST(StoreContract, PagesOfVeryManySelectorsHoldWhatBruteForceFinds) {
  std::mt19937_64 random(7);
  const auto pick = [&](std::size_t n) { return std::to_string(random() % n); };
  std::vector<Event> log;
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> topics;
    for (int k = 0; k < 100; ++k) topics.push_back("b/" + pick(700) + (k % 2 == 0 ? "" : "/p" + pick(9)));
    for (Event& event : this->commit(topics, "t." + pick(50))) log.push_back(std::move(event));
  }
  ASSERT_TRUE(this->store->index_now());
  for (const std::size_t names : {20u, 700u}) {
    std::vector<Selector> selectors;
    for (std::size_t i = 0; i < limits::stream_topics_max; ++i) {
      const std::string name = "b/" + pick(names);
      // The last one makes every event costly.
      const std::string topics[] = {name, name + "/#", name + "/+", "b/+/p" + pick(names), "b/#"};
      std::vector<std::string> types;
      for (std::size_t k = 0; k < limits::stream_types_max && i % 10 != 0; ++k)
        types.push_back(k == 0 ? "t." + std::to_string(i / 2 % 50)
                               : "none." + std::to_string(i / 2) + "." + std::to_string(k));
      selectors.push_back(make_selector(topics[i / 2 % (names == 20 ? 3 : 5)], types).value());
    }
    std::vector<Offset> expected;
    for (const Event& event : log)
      if (std::any_of(selectors.begin(), selectors.end(), [&](auto& one) { return accepts(one, event); }))
        expected.push_back(event.offset);
    EXPECT_GT(expected.size(), 10u);
    EXPECT_EQ(this->all(selectors, 0, log.size()), expected);
  }
}

// The names of topics are walked once for all patterns of a page.
TYPED_TEST(StoreContract, ManyPatternsOverTheSameTopicsLookAtEachTopicOnce) {
  std::vector<std::string> topics;
  for (int i = 0; i < 3000; ++i) topics.push_back("bookings/" + std::to_string(i));
  this->commit(topics);
  this->commit(std::vector<std::string>(3000, "other"));
  ASSERT_TRUE(this->store->index_now());
  std::vector<Selector> selectors;
  for (std::size_t i = 0; i < limits::stream_topics_max; ++i)
    selectors.push_back({"bookings/+/p" + std::to_string(i), {}});
  const Page page = this->page(selectors, 0);
  EXPECT_TRUE(page.events.empty());
  EXPECT_EQ(page.upto, 6000u);
  EXPECT_LE(page.rows_read, 6010u);
}

// Selectors that all match, each with types of its own, none of which is there: a page gives up early.
TYPED_TEST(StoreContract, APageOfCostlySelectorsEndsEarlyAndMovesForward) {
  std::vector<std::string> topics;
  for (int i = 0; i < 3000; ++i) topics.push_back("a/" + std::to_string(i % 1500));
  this->commit(topics);
  this->commit(std::vector<std::string>(99, "a/7"));
  this->commit({"a/7"}, "rare");
  ASSERT_TRUE(this->store->index_now());
  for (const std::string topic : {"a/+", "a/7"}) {  // by a scan, and by the index
    std::vector<Selector> selectors;
    for (std::size_t i = 0; i < limits::stream_topics_max; ++i) {
      std::vector<std::string> types{i == 9 ? "rare" : "common"};
      for (std::size_t k = 1; k < limits::stream_types_max; ++k)
        types.push_back("none." + std::to_string(i) + "." + std::to_string(k));
      selectors.push_back(make_selector(topic, types).value());
    }
    EXPECT_EQ(this->all(selectors, topic == "a/+" ? 2900 : 0, 3100), std::vector<Offset>{3100});
    if constexpr (std::is_same_v<TypeParam, SqliteShelf>) {
      const std::size_t each = limits::stream_topics_max * limits::stream_types_max;
      const Page page = this->page(selectors, 0);
      EXPECT_LE(page.rows_read, limits::page_topics_max + 4 + limits::page_work_max / each);
      EXPECT_LT(page.upto, 3100u);
    }
  }
}

TYPED_TEST(StoreContract, TrimRaisesFloorsAndKeepsCounting) {
  this->commit({"a", "b", "a", "b", "a"});
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(this->store->trim(3, 2).value(), (std::vector<Offset>{1, 2})) << "a slice";
  EXPECT_EQ(this->store->trim(3, 2).value(), std::vector<Offset>{3});
  EXPECT_EQ(this->page({{"a", {}}}, 0).floor, 3u);
  EXPECT_EQ(this->page({{"b", {}}}, 0).floor, 2u);
  EXPECT_EQ(this->page({{"c", {}}}, 0).floor, 0u);
  EXPECT_EQ(this->page({{"+", {}}}, 0).floor, 3u);
  EXPECT_EQ(this->all({{"#", {}}}, 0, 5), (std::vector<Offset>{4, 5}));
  EXPECT_EQ(this->store->highest_floor().value(), Offset{3});
  EXPECT_EQ(this->store->trim(5, 100).value(), (std::vector<Offset>{4, 5}));
  this->reopen();
  EXPECT_EQ(this->opened.head, 5u) << "an empty log still knows its head";
  const auto events = this->commit({"a"});
  EXPECT_EQ(events[0].offset, 6u);
  EXPECT_EQ(events[0].seq, 4u);
}

TYPED_TEST(StoreContract, OfManyTopicsTheFloorIsOfThoseThatThePatternMatches) {
  std::vector<std::string> topics{"many/0", "other"};
  for (std::size_t i = 1; i <= 2 * limits::page_topics_max; ++i)
    topics.push_back("many/" + std::to_string(i));
  this->commit(topics);
  ASSERT_TRUE(this->store->index_now());
  ASSERT_TRUE(this->store->trim(2, 100));
  EXPECT_EQ(this->page({{"many/+", {}}}, 0).floor, 1u);
  EXPECT_EQ(this->page({{"+", {}}}, 0).floor, 2u);
  EXPECT_EQ(this->page({{"+/+/+", {}}}, 0).floor, 0u);
}

TYPED_TEST(StoreContract, LastBeforeFindsTheNewestOlderEvent) {
  for (int i = 0; i < 50; ++i) this->commit({"a"});  // times 1000 to 1049
  EXPECT_EQ(this->store->last_older({}, Timestamp{Duration{1000}}).value(), 0u);
  EXPECT_EQ(this->store->last_older({}, Timestamp{Duration{1001}}).value(), 1u);
  EXPECT_EQ(this->store->last_older({}, Timestamp{Duration{1030}}).value(), 30u);
  EXPECT_EQ(this->store->last_older({}, Timestamp{Duration{9999}}).value(), 50u);
}

TYPED_TEST(StoreContract, KeysAreFoundUntilTheyAreForgotten) {
  std::vector<Event> events(2);
  events[0].topic = events[1].topic = "a";
  IdempotencyRecord record{"p", "k", {}, 1, 1, Timestamp{Duration{500}}};
  record.body[3] = 9;
  ASSERT_TRUE(this->store->commit({events, {{record}}}));
  const auto found = this->store->find_idempotency("p", "k").value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->first, 2u);
  EXPECT_EQ(found->count, 1u);
  EXPECT_EQ(found->body, record.body);
  EXPECT_FALSE(this->store->find_idempotency("q", "k").value());
  ASSERT_TRUE(this->store->forget_keys(Timestamp{Duration{501}}, 10));
  EXPECT_FALSE(this->store->find_idempotency("p", "k").value());
}

TYPED_TEST(StoreContract, KeysThatAreYoungEnoughStay) {
  std::vector<IdempotencyRecord> records;
  for (const char* name : {"old", "older", "young"})
    records.push_back({"p", name, {}, 0, 0, Timestamp{Duration{*name == 'y' ? 600 : 500}}});
  ASSERT_TRUE(this->store->commit({{}, records}));
  EXPECT_EQ(this->store->forget_keys(Timestamp{Duration{500}}, 10).value(), 0u) << "older than that is none";
  this->reopen();
  for (const char* name : {"old", "older", "young"})
    EXPECT_TRUE(this->store->find_idempotency("p", name).value()) << name;
  EXPECT_EQ(this->store->forget_keys(Timestamp{Duration{600}}, 1).value(), 1u) << "a slice";
  EXPECT_EQ(this->store->forget_keys(Timestamp{Duration{600}}, 10).value(), 1u);
  EXPECT_FALSE(this->store->find_idempotency("p", "old").value());
  EXPECT_TRUE(this->store->find_idempotency("p", "young").value());
}

TYPED_TEST(StoreContract, SweepRaisesTheFloorsOfWhatItTakes) {
  this->commit({"a", "b", "a", "c", "a", "b"});  // times 1000 to 1005
  const std::vector<RetentionRule> rules{{"a", {}, 1}, {"b", Duration{100}, {}}};
  const auto sweep = [&](std::int64_t now) {
    std::vector<Offset> gone;
    for (int round = 0; round < 4; ++round) {
      const std::vector<Offset> some = this->store->sweep(rules, Timestamp{Duration{now}}, 100).value();
      gone.insert(gone.end(), some.begin(), some.end());
    }
    std::sort(gone.begin(), gone.end());
    return gone;
  };
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(sweep(1101), (std::vector<Offset>{1, 3})) << "the second is as old as the rule allows";
  EXPECT_EQ(sweep(1102), std::vector<Offset>{2});
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(this->page({{"a", {}}}, 0).floor, 3u);
    EXPECT_EQ(this->page({{"b", {}}}, 0).floor, 2u);
    EXPECT_EQ(this->page({{"c", {}}}, 0).floor, 0u);
    EXPECT_EQ(this->store->highest_floor().value(), Offset{3});
    EXPECT_EQ(this->all({{"#", {}}}, 0, 6), (std::vector<Offset>{4, 5, 6}));
    this->reopen();
  }
}

TYPED_TEST(StoreContract, ARareTopicIsReadWithoutLookingAtOthers) {
  this->commit({"rare"});
  for (int i = 0; i < 20; ++i) this->commit(std::vector<std::string>(1000, "busy/" + std::to_string(i)));
  this->commit({"rare"});
  ASSERT_TRUE(this->store->index_now());
  const Page page = this->page({{"rare", {}}}, 1);
  ASSERT_EQ(page.events.size(), 1u);
  EXPECT_EQ(page.events[0].offset, 20'002u);
  if constexpr (std::is_same_v<TypeParam, SqliteShelf>) {
    EXPECT_LE(page.rows_read, 8u);
  }
}

// The index grows behind the log: pages end where it ends, and nothing is skipped over any opening.
TYPED_TEST(StoreContract, TheIndexFollowsTheLog) {
  Offset head = 0;
  for (int i = 0; i < 210; ++i) {
    this->commit(std::vector<std::string>(1000, "t/" + std::to_string(i % 7)));
    head += 1000;
    if (i % 60 == 59) this->reopen();
    const Offset indexed = this->store->indexed();
    ASSERT_LE(indexed, head);
    ASSERT_LE(head - indexed, limits::index_batch_rows + 1000);
    ASSERT_EQ(this->page({{"t/3", {}}}, head - 1).upto, std::max(indexed, head - 1));
  }
  ASSERT_TRUE(this->store->index_now());
  EXPECT_EQ(this->store->indexed(), head);
  EXPECT_EQ(this->all({{"t/3", {}}}, 0, head).size(), 30'000u);
}

// The tail must hold what is not indexed yet, so large events are indexed sooner.
TYPED_TEST(StoreContract, LargeEventsAreIndexedBeforeTheyFillTheTail) {
  std::vector<Event> events(limits::index_batch_bytes / 60'000 + 1);
  for (Event& event : events) {
    event.topic = "t";
    event.data = std::string(60'000, '1');
    event.time = Timestamp{Duration{this->clock++}};
  }
  ASSERT_TRUE(this->store->commit({events}));
  EXPECT_EQ(this->store->indexed(), events.size());
}

// The same random history on both implementations gives the same answers.
TEST(StoreContractDifferential, MemoryAndSqliteAgree) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint64_t n) { return random() % n; };
    MemoryShelf memory_shelf;
    SqliteShelf sqlite_shelf;
    std::unique_ptr<Store> stores[2] = {memory_shelf.open(), sqlite_shelf.open()};
    for (auto& store : stores) ASSERT_TRUE(store->open(Epoch{seed}));
    std::uint64_t epoch = seed * 100;
    std::int64_t time = 0;
    Offset head = 0;
    for (int step = 0; step < 400; ++step) {
      const auto what = pick(10);
      if (what < 6) {
        std::vector<Event> events(1 + pick(20));
        for (auto& event : events) {
          event.topic = "t" + std::to_string(pick(4)) + "/" + std::to_string(pick(5));
          event.type = pick(2) == 0 ? "a.b" : "c";
          event.time = Timestamp{Duration{++time}};
          event.data = std::string(pick(200), '1');
        }
        auto copy = events;
        ASSERT_TRUE(stores[0]->commit({events}));
        ASSERT_TRUE(stores[1]->commit({copy}));
        ASSERT_EQ(events, copy);
        head += events.size();
      } else if (what == 6) {
        const Offset upto = pick(head + 1);
        const std::size_t rows = pick(50);
        ASSERT_EQ(stores[0]->trim(upto, rows).value(), stores[1]->trim(upto, rows).value());
      } else if (what == 7 && pick(4) == 0) {
        ++epoch;
        stores[0] = nullptr;
        stores[1] = nullptr;
        stores[0] = memory_shelf.open();
        stores[1] = sqlite_shelf.open();
        const auto a = stores[0]->open(Epoch{epoch}).value(), b = stores[1]->open(Epoch{epoch}).value();
        ASSERT_EQ(a.head, b.head);
        ASSERT_EQ(a.epochs, b.epochs);
      } else {
        ASSERT_TRUE(stores[1]->index_now());
        const std::vector<std::string> patterns{"t1/2", "t1/+", "+/3", "#", "t2/#", "none"};
        PageRequest request{{{patterns[pick(6)], {}}, {patterns[pick(6)], {"a.#"}}},
                            pick(head + 1),
                            1 + pick(60),
                            1 + pick(5000)};
        const Page a = stores[0]->open_reader().value()->read(request).value();
        const Page b = stores[1]->open_reader().value()->read(request).value();
        ASSERT_EQ(a.floor, b.floor);
        // Where a full page ends may differ between events; what lies before the nearer end may not.
        const Offset upto = std::min(a.upto, b.upto);
        std::vector<Offset> left, right;
        for (const auto& event : a.events)
          if (event.offset <= upto) left.push_back(event.offset);
        for (const auto& event : b.events)
          if (event.offset <= upto) right.push_back(event.offset);
        ASSERT_EQ(left, right) << "seed " << seed << " step " << step;
      }
    }
  }
}

TEST(SqliteStore, ASecondWriterIsRefused) {
  SqliteShelf shelf;
  const auto first = shelf.open();
  SqliteOptions options;
  options.path = shelf.folder.path("belfry.db");
  const auto second = open_sqlite_store(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::store_failed);
}

// Only a disk without room is one that is full: the server would start, and refuse publishers.
TEST(SqliteStore, AFolderThatIsMissingIsNoFullDisk) {
  testing::TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder.path("missing/belfry.db");
  const auto store = open_sqlite_store(options);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::store_failed);
}

TEST(SqliteStore, WhatIsNotADatabaseIsRefusedAndLeftAlone) {
  testing::TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder.path("belfry.db");
  const std::string text(10'000, 'x');
  FILE* file = std::fopen(options.path.c_str(), "w");
  std::fputs(text.c_str(), file);
  std::fclose(file);
  EXPECT_FALSE(open_sqlite_store(options));
  EXPECT_EQ(std::filesystem::file_size(options.path), text.size());
}

TYPED_TEST(StoreContract, PositionsOfSourcesComeAndGoWithTheirEvents) {
  std::vector<Event> events(1);
  events[0].topic = "bookings/7";
  const std::vector<Change> first{PutPosition{{"orders", "3", "41"}}, PutPosition{{"mail", "", "a"}},
                                  PutPosition{{"orders", "10", "7"}}};
  ASSERT_TRUE(this->store->commit({events, {}, first}));
  const std::vector<Change> second{PutPosition{{"orders", "3", "42"}}};
  ASSERT_TRUE(this->store->commit({{}, {}, second}))
      << "a position alone, when nothing came of the records";
  this->reopen();
  EXPECT_EQ(this->opened.head, 1u);
  const std::vector<Position> kept{{"mail", "", "a"}, {"orders", "10", "7"}, {"orders", "3", "42"}};
  EXPECT_EQ(this->store->positions().value(), kept);
  const std::vector<Change> forget{ForgetPositions{"orders"}};
  ASSERT_TRUE(this->store->commit({{}, {}, forget}));
  EXPECT_EQ(this->store->positions().value(), (std::vector<Position>{{"mail", "", "a"}}));
}

TYPED_TEST(StoreContract, DeadLettersAreKeptUpToABound) {
  const auto letter = [](std::string source, std::size_t n) {
    return Change{PutDeadLetter{{0, std::move(source), std::to_string(n), "It is not JSON.", "{", {}}}};
  };
  for (std::size_t n = 0; n < limits::dead_letters_max + 10;) {
    std::vector<Change> some;
    for (int i = 0; i < 100; ++i) some.push_back(letter(n % 2 == 0 ? "even" : "odd", n)), ++n;
    ASSERT_TRUE(this->store->commit({{}, {}, some}));
  }
  this->reopen();
  const auto newest = this->store->dead_letters("odd", 3).value();
  ASSERT_EQ(newest.size(), 3u);
  EXPECT_EQ(newest[0].position, "10099");
  EXPECT_EQ(newest[1].position, "10097");
  EXPECT_EQ(newest[0].reason, "It is not JSON.");
  EXPECT_EQ(newest[0].record, "{");
  EXPECT_GT(newest[0].id, newest[1].id);
  const auto all = this->store->dead_letters("even", limits::dead_letters_max * 2).value();
  EXPECT_EQ(all.size(), limits::dead_letters_max / 2);
  EXPECT_EQ(this->store->dead_letters("none", 3).value().size(), 0u);
}

}  // namespace
}  // namespace belfry
