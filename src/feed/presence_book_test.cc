#include "feed/presence_book.h"

#include <gtest/gtest.h>

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

TEST_F(PresenceBookTest, AHolderThatIsGoneTakesItsPeopleWithIt) {
  join("ana", 1);
  join("bob", 2);
  now = now + Duration{1000};
  book.renew(2, {{"t", "bob"}}, now, changes);
  const auto left = sweep(limits::presence_lease - Duration{1000});
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].user, "ana");
  EXPECT_FALSE(left[0].joined);
}

TEST_F(PresenceBookTest, ARenewalMendsWhatWasNotHeard) {
  join("ana");
  book.renew(0, {{"t", "bob"}}, now, changes);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[1].user, "bob");
  const auto left = sweep(limits::presence_grace);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].user, "ana");
}

TEST_F(PresenceBookTest, LeavingWithoutHavingJoinedIsNothing) {
  leave("ana");
  EXPECT_TRUE(sweep(limits::presence_grace).empty());
}

}  // namespace
}  // namespace belfry
