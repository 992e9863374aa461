#include "base/settled_clock.h"

#include <gtest/gtest.h>

namespace belfry {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct SettledClockTest : ::testing::Test {
  ManualClock clock;
  SettledClock settled{minutes(10)};
  Timestamp now() { return settled.of(clock.now(), clock.wall()); }
  SettledClockTest() { now(); }
};

TEST_F(SettledClockTest, GoesWithTheWallClock) {
  EXPECT_EQ(now(), clock.wall());
  clock.advance(hours(5));
  EXPECT_EQ(now(), clock.wall());
  clock.set_wall(minutes(10));
  EXPECT_EQ(now(), clock.wall());
  EXPECT_FALSE(settled.waits());
}

TEST_F(SettledClockTest, AJumpAheadCountsAfterAWhile) {
  const Timestamp before = clock.wall();
  clock.set_wall(hours(24 * 365));
  EXPECT_EQ(now(), before);
  EXPECT_TRUE(settled.waits());
  clock.advance(minutes(10) - seconds(1));
  EXPECT_EQ(now(), before + (minutes(10) - seconds(1)));
  clock.advance(seconds(1));
  EXPECT_EQ(now(), clock.wall());
  EXPECT_FALSE(settled.waits());
}

TEST_F(SettledClockTest, AJumpThatIsPutRightNeverCounts) {
  clock.set_wall(hours(24 * 365));
  now();
  clock.advance(minutes(5));
  clock.set_wall(-hours(24 * 365));
  EXPECT_EQ(now(), clock.wall());
  clock.advance(minutes(5));
  clock.set_wall(hours(24));
  EXPECT_EQ(now(), clock.wall() + -hours(24)) << "the next one waits as long";
  clock.advance(minutes(6));
  EXPECT_EQ(now(), clock.wall() + -hours(24));
}

TEST_F(SettledClockTest, AClockThatJumpsAgainHasNotStood) {
  clock.set_wall(hours(24 * 365));
  now();
  clock.advance(minutes(9));
  clock.set_wall(-hours(24 * 300));
  now();
  clock.advance(minutes(9));
  EXPECT_EQ(now(), clock.wall() + -hours(24 * 65));
  clock.advance(minutes(1));
  EXPECT_EQ(now(), clock.wall());
}

TEST_F(SettledClockTest, AClockThatIsPutBackCountsAtOnce) {
  clock.set_wall(-hours(24 * 365));
  EXPECT_EQ(now(), clock.wall());
  clock.set_wall(hours(1));
  EXPECT_EQ(now(), clock.wall() + -hours(1));
}

}  // namespace
}  // namespace belfry
