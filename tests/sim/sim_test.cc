// The simulator in CI: many seeds without a violation, the same seed twice with the same trace, every
// planted bug caught.

#include <gtest/gtest.h>

#include "feed_world.h"
#include "planted.h"
#include "world.h"

namespace belfry::sim {
namespace {

constexpr int kSteps = 1000;
constexpr std::uint64_t kSeeds = 120;
constexpr std::uint64_t kFeedSeeds = 500;
constexpr std::uint64_t kSeedsPerBug = 400;

// Failing pages are part of the play; their log lines are not.
const bool quiet = [] {
  log_start(LogFormat::text, "off");
  return true;
}();

TEST(Sim, TheContractHolds) {
  Outcome all;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = play(seed, kSteps);
    ASSERT_TRUE(outcome.violations.empty())
        << outcome.violations[0] << "\nreplay: ./dev sim --seed " << seed;
    all.deliveries += outcome.deliveries;
    all.resets += outcome.resets;
    all.crashes += outcome.crashes;
    all.forgotten += outcome.forgotten;
    all.revoked += outcome.revoked;
    all.jumps += outcome.jumps;
    all.crowds += outcome.crowds;
  }
  // A world in which nothing happens would hold every promise.
  EXPECT_GT(all.deliveries, kSeeds * 300);
  EXPECT_GT(all.resets, kSeeds / 2);
  EXPECT_GT(all.forgotten, kSeeds);
  EXPECT_GT(all.crashes, kSeeds);
  EXPECT_GT(all.revoked, kSeeds);
  EXPECT_GT(all.jumps, kSeeds);
  EXPECT_GT(all.crowds, kSeeds / 2);
}

TEST(Sim, ASeedReplaysExactly) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    EXPECT_EQ(play(seed, kSteps).trace, play(seed, kSteps).trace);
}

TEST(Sim, FeedsHoldTheContract) {
  std::uint64_t deliveries = 0, crashes = 0, forgotten = 0;
  for (std::uint64_t seed = 1; seed <= kFeedSeeds; ++seed) {
    const Outcome outcome = play_feed(seed, kSteps);
    ASSERT_TRUE(outcome.violations.empty()) << outcome.violations[0] << "\nseed " << seed;
    deliveries += outcome.deliveries;
    crashes += outcome.crashes;
    forgotten += outcome.forgotten;
  }
  EXPECT_GT(deliveries, kFeedSeeds * 100);
  EXPECT_GT(crashes, kFeedSeeds);
  EXPECT_GT(forgotten, kFeedSeeds / 2);
}

struct PlantedFeedTest : ::testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedFeedTest, IsCaught) {
  for (std::uint64_t seed = 1; seed <= kSeedsPerBug; ++seed) {
    const Outcome outcome = play_feed(seed, kSteps, GetParam().faults);
    if (outcome.violations.empty()) continue;
    std::printf("caught at seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.violations[0].c_str());
    return;
  }
  FAIL() << "not caught in " << kSeedsPerBug << " seeds: " << GetParam().name;
}

struct PlantedTest : ::testing::TestWithParam<PlantedBug> {};

TEST_P(PlantedTest, IsCaught) {
  for (std::uint64_t seed = 1; seed <= kSeedsPerBug; ++seed) {
    const Outcome outcome = play(seed, kSteps, GetParam().faults);
    if (outcome.violations.empty()) continue;
    std::printf("caught at seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.violations[0].c_str());
    return;
  }
  FAIL() << "not caught in " << kSeedsPerBug << " seeds: " << GetParam().name;
}

std::string test_name(const ::testing::TestParamInfo<PlantedBug>& parameter) {
  std::string name;
  for (const char c : parameter.param.name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Sim, PlantedTest, ::testing::ValuesIn(planted_bugs()), test_name);
INSTANTIATE_TEST_SUITE_P(Sim, PlantedFeedTest, ::testing::ValuesIn(planted_feed_bugs()), test_name);

}  // namespace
}  // namespace belfry::sim
