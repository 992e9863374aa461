#include "feed/presence_book.h"

#include <gtest/gtest.h>

#include <random>

#include "feed/presence_words.h"

namespace belfry {
namespace {

struct PresenceBookTest : ::testing::Test {
  PresenceBook book;
  std::vector<PresenceChange> changes;
  Timestamp now{Duration{1'000'000}};

  void join(const std::string& user, std::uint64_t holder = 0) {
    book.join("t", user, holder, now, changes);
  }
  void leave(const std::string& user, std::uint64_t holder = 0) { book.leave("t", user, holder, now); }
  std::vector<PresenceChange> sweep(Duration later) {
    now = now + later;
    changes.clear();
    book.sweep(now, changes);
    return changes;
  }
};

TEST_F(PresenceBookTest, TwoTabsAreOnePerson) {
  join("ana");
  join("ana", 1);
  EXPECT_EQ(changes.size(), 1u);
  leave("ana");
  EXPECT_TRUE(sweep(limits::presence_grace).empty());
  EXPECT_EQ(book.list("t").size(), 1u);
  leave("ana", 1);
  EXPECT_EQ(sweep(limits::presence_grace).size(), 1u);
  EXPECT_TRUE(book.list("t").empty());
}

TEST_F(PresenceBookTest, WhoComesBackInTimeNeverLeft) {
  join("ana");
  leave("ana");
  EXPECT_TRUE(sweep(Duration{1000}).empty());
  join("ana");
  EXPECT_TRUE(changes.empty());
  EXPECT_TRUE(sweep(limits::presence_grace).empty());
}

TEST_F(PresenceBookTest, AClockThatWasWrongKeepsNobody) {
  book.renew(1, now);
  join("bea", 1);
  leave("bea", 1);
  sweep(std::chrono::hours(24 * 365));
  // A year ahead: all are told again, one leaves, and the clock is put back.
  book.renew(1, now);
  join("ana", 1);
  join("bea", 1);
  join("cid", 1);
  leave("bea", 1);
  EXPECT_TRUE(sweep(-std::chrono::hours(24 * 365)).empty());
  leave("cid", 1);
  EXPECT_EQ(sweep(limits::presence_grace).size(), 2u) << "bea, and cid who left afterwards";
  EXPECT_EQ(book.list("t").size(), 1u);
  EXPECT_TRUE(sweep(limits::presence_lease - limits::presence_grace).empty());
  EXPECT_EQ(sweep(limits::presence_grace).size(), 1u) << "the holder is gone";
  EXPECT_FALSE(book.renew(1, now));
}

TEST_F(PresenceBookTest, AHolderThatIsGoneTakesItsPeopleWithIt) {
  EXPECT_FALSE(book.renew(1, now));
  EXPECT_FALSE(book.renew(2, now));
  join("ana", 1);
  join("bob", 2);
  now = now + Duration{1000};
  EXPECT_TRUE(book.renew(2, now));
  EXPECT_TRUE(sweep(limits::presence_lease - Duration{1000}).empty());
  const auto left = sweep(limits::presence_grace);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].user, "ana");
  EXPECT_FALSE(left[0].joined);
  EXPECT_FALSE(book.renew(1, now)) << "it has to say again who is there";
}

TEST_F(PresenceBookTest, VeryManyWhoLeaveAreToldSomeAtATime) {
  const std::size_t many = limits::presence_leaves_max + 10;
  for (std::size_t i = 0; i < many; ++i) join("u" + std::to_string(i));
  for (std::size_t i = 0; i < many; ++i) leave("u" + std::to_string(i));
  EXPECT_EQ(sweep(limits::presence_grace).size(), limits::presence_leaves_max);
  EXPECT_EQ(sweep(Duration{0}).size(), 10u);
  EXPECT_TRUE(book.list("t").empty());
}

// Whoever leaves very many topics does not let the others wait until all of that is told.
TEST_F(PresenceBookTest, UsersTakeTurnsInLeaving) {
  const std::size_t many = 3 * limits::presence_leaves_max;
  for (std::size_t i = 0; i < many; ++i) {
    const std::string mallory = "mallory" + std::to_string(i % 3);
    book.join("t" + std::to_string(i), mallory, 0, now, changes);
    book.leave("t" + std::to_string(i), mallory, 0, now);
  }
  for (const char* user : {"ana", "zoe"}) {
    join(user);
    leave(user);
  }
  std::size_t others = 0;
  for (const PresenceChange& change : sweep(limits::presence_grace)) others += change.topic == "t";
  EXPECT_EQ(others, 2u);
  EXPECT_EQ(changes.size(), limits::presence_leaves_max);
  for (const std::size_t told : {limits::presence_leaves_max, limits::presence_leaves_max, std::size_t{2}})
    EXPECT_EQ(sweep(Duration{0}).size(), told);
}

// Faster than leaves are told: it costs the own grace, of the oldest first, and nobody else's.
TEST_F(PresenceBookTest, WhoComesAndGoesVeryOftenHoldsNoMoreThanItsBound) {
  join("ana");
  leave("ana");
  const std::size_t many = 2 * limits::presence_leaving_max;
  for (std::size_t i = 0; i < many; ++i) {
    book.join("t" + std::to_string(i), "mallory", 0, now, changes);
    book.leave("t" + std::to_string(i), "mallory", 0, now);
  }
  std::set<std::string> here;
  for (const PresenceChange& change : changes)
    ASSERT_TRUE(change.joined ? here.insert(change.topic).second : here.erase(change.topic) == 1);
  EXPECT_EQ(here.size(), 1 + limits::presence_leaving_max) << "ana's, and those whose grace runs";
  EXPECT_TRUE(book.list("t0").empty());
  EXPECT_EQ(book.list("t" + std::to_string(many - 1)).size(), 1u);
  EXPECT_EQ(book.list("t").size(), 1u);
  // Whoever is there is not taken out, however often it left before.
  for (std::size_t i = 0; i < many; ++i) {
    book.join("here", "mallory", 0, now, changes);
    if (i + 1 < many) book.leave("here", "mallory", 0, now);
  }
  sweep(limits::presence_grace);
  sweep(Duration{0});
  EXPECT_EQ(book.list("here").size(), 1u);
}

TEST_F(PresenceBookTest, WhoComesBackWithVeryManyTopicsNeverLeft) {
  const std::size_t many = 3 * limits::presence_leaving_max;
  const auto topic = [](std::size_t i) { return "t" + std::to_string(i); };
  for (std::size_t i = 0; i < many; ++i) book.join(topic(i), "ana", 0, now, changes);
  for (std::size_t i = 0; i < many; ++i) book.leave(topic(i), "ana", 0, now);
  changes.clear();
  for (std::size_t i = 0; i < many; ++i) book.join(topic(i), "ana", 1, now, changes);
  EXPECT_TRUE(changes.empty());
  EXPECT_TRUE(sweep(limits::presence_grace).empty());
}

TEST_F(PresenceBookTest, LeavingWithoutHavingJoinedIsNothing) {
  leave("ana");
  EXPECT_TRUE(sweep(limits::presence_grace).empty());
}

// Two shards' words and the book, which hears them late or not at all.
TEST(PresenceWords, TheBookHasWhatIsHereInTheEnd) {
  std::mt19937 random(7);
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  for (int round = 0; round < 200; ++round) {
    PresenceBook book;
    PresenceWords words[2];
    std::map<std::pair<std::string, std::string>, int> sessions[2];
    std::set<std::pair<std::string, std::string>> told;
    Timestamp now{Duration{1'000'000}};
    const auto hear = [&](std::vector<PresenceChange> changes) {
      for (const auto& change : changes)
        ASSERT_TRUE(change.joined ? told.insert({change.topic, change.user}).second
                                  : told.erase({change.topic, change.user}) == 1);
    };
    const auto say = [&](unsigned shard, bool lost) {
      const auto taken = words[shard].take();
      if (lost) return words[shard].take_back(taken);
      std::vector<PresenceChange> changes;
      if (!book.renew(shard, now)) return words[shard].say_all_again();
      for (const auto& word : taken)
        word.here ? book.join(word.topic, word.user, shard, now, changes)
                  : book.leave(word.topic, word.user, shard, now);
      hear(std::move(changes));
    };
    const auto pass = [&](Duration time) {
      now = now + time;
      std::vector<PresenceChange> changes;
      book.sweep(now, changes);
      hear(std::move(changes));
    };
    for (int step = 0; step < 300; ++step) {
      const unsigned shard = pick(2);
      const std::string topic = "t" + std::to_string(pick(3)), user = "u" + std::to_string(pick(3));
      int& count = sessions[shard][{topic, user}];
      if (pick(2) == 0) {
        ++count;
        words[shard].joined(topic, user);
      } else if (count > 0) {
        --count;
        words[shard].left(topic, user);
      }
      if (pick(4) == 0) say(shard, pick(4) == 0);
      if (pick(20) == 0) pass(Duration{pick(40'000)});
    }
    for (int i = 0; i < 4; ++i)
      for (unsigned shard = 0; shard < 2; ++shard) say(shard, false);
    pass(limits::presence_grace);
    std::set<std::pair<std::string, std::string>> here;
    for (const auto& of_shard : sessions)
      for (const auto& [key, count] : of_shard)
        if (count > 0) here.insert(key);
    ASSERT_EQ(told, here);
    std::size_t entries = 0;
    for (const auto& of_shard : sessions)
      for (const auto& [key, count] : of_shard) entries += count > 0 ? 1 : 0;
    ASSERT_EQ(words[0].entries() + words[1].entries(), entries) << "who is not here is forgotten";
  }
}

TEST(PresenceWords, OfWhoWasNeverHereNothingIsSaid) {
  PresenceWords words;
  for (int i = 0; i < 3; ++i) words.left("t" + std::to_string(i), "ana");
  words.joined("t0", "ana");
  words.left("t1", "bob");
  EXPECT_EQ(words.entries(), 1u);
  EXPECT_EQ(words.take().size(), 1u);
}

TEST(PresenceWords, AFloodOfOneUserIsOneWordAndHoldsNobodyUp) {
  PresenceWords words;
  for (int i = 0; i < 1000; ++i) {
    words.joined("t", "eve");
    words.left("t", "eve");
  }
  EXPECT_TRUE(words.take().empty());
  for (int i = 0; i < 10'000; ++i) words.joined("t" + std::to_string(i), "eve");
  words.joined("t0", "bob");
  const auto first = words.take();
  ASSERT_EQ(first.size(), limits::presence_words_max);
  EXPECT_TRUE(first[0].user == "bob" || first[1].user == "bob" || first[2].user == "bob");
}

}  // namespace
}  // namespace belfry
