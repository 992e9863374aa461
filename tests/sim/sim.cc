// ./dev sim --seeds N: plays N seeds, and says which fail. ./dev sim --seed S: plays one and tells its
// story. With --feeds N, feeds instead. With --first S it begins at seed S. With --violations-max N it ends
// after N seeds with a violation.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "feed_world.h"
#include "world.h"

using namespace belfry::sim;

namespace {

constexpr int kSteps = 3000;
constexpr int kFeedSteps = 1000;

int tell_one(std::uint64_t seed) {
  World world(seed, {});
  world.tell_story = true;
  const Outcome outcome = world.play(kSteps);
  for (const auto& line : world.story) std::printf("%s\n", line.c_str());
  for (const auto& violation : outcome.violations) std::printf("%s\n", violation.c_str());
  return outcome.violations.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  belfry::log_start(belfry::LogFormat::text, "off");  // failing pages are part of the play
  std::uint64_t first = 1, seeds = 1000, failed_max = ~std::uint64_t{0};
  bool feeds = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) return tell_one(value);
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = value;
    if (std::strcmp(argv[i], "--first") == 0) first = value;
    if (std::strcmp(argv[i], "--violations-max") == 0) failed_max = value;
    if (std::strcmp(argv[i], "--feeds") == 0) {
      feeds = true;
      seeds = value;
    }
  }
  std::uint64_t played = 0, failed = 0, deliveries = 0, resets = 0, crashes = 0;
  for (; played < seeds && failed < failed_max; ++played) {
    const std::uint64_t seed = first + played;
    const Outcome outcome = feeds ? play_feed(seed, kFeedSteps) : play(seed, kSteps);
    deliveries += outcome.deliveries;
    resets += outcome.resets;
    crashes += outcome.crashes;
    if (!outcome.violations.empty()) {
      ++failed;
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), outcome.violations[0].c_str());
      if (!feeds) std::printf("  replay: ./dev sim --seed %llu\n", static_cast<unsigned long long>(seed));
    }
    if ((played + 1) % (seeds / 10 + 1) == 0)
      std::fprintf(stderr, "%llu of %llu seeds\n", static_cast<unsigned long long>(played + 1),
                   static_cast<unsigned long long>(seeds));
  }
  std::printf(
      "%llu seeds of %d steps: %llu deliveries, %llu resets, %llu crashes, %llu seeds with a violation\n",
      static_cast<unsigned long long>(played), feeds ? kFeedSteps : kSteps,
      static_cast<unsigned long long>(deliveries), static_cast<unsigned long long>(resets),
      static_cast<unsigned long long>(crashes), static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
