// Whether cost grows with sessions and deliveries, and by how much more than they do: the points of the
// plots in docs/CAPACITY.md. History is in feed_bench.cc.

#include <array>
#include <cmath>
#include <cstdio>

#include "compare.h"

namespace belfry::bench {
namespace {

constexpr const char* kTopic = "growth";

struct Point {
  std::size_t x = 0;
  std::vector<double> runs{};
};

Load::Plan plan_of(std::size_t sessions, std::uint64_t first, std::uint64_t count) {
  Load::Plan plan;
  plan.count = count;
  plan.fanout = sessions;
  plan.topic = [](std::uint64_t) { return kTopic; };
  plan.number = [first](std::uint64_t i) { return first + i; };
  return plan;
}

// Of the line through nothing and the points (least squares), the most that a point is away from it.
void print_points(const Options& options, const char* workload, const char* x, const char* y, double unit,
                  const std::vector<Point>& points) {
  double xy = 0, xx = 0;
  for (const Point& point : points) {
    xy += static_cast<double>(point.x) * median(point.runs);
    xx += static_cast<double>(point.x) * static_cast<double>(point.x);
  }
  std::printf("\n| %s | %s | from the line |\n|---|---|---|\n", x, y);
  for (const Point& point : points) {
    const double line = xy / xx * static_cast<double>(point.x);
    std::printf("| %zu | %.2f | %+.0f %% |\n", point.x, median(point.runs) * unit,
                (median(point.runs) / line - 1) * 100);
    write_point(options, workload, static_cast<double>(point.x), median(point.runs) * unit);
  }
}

}  // namespace

// Rounds over all points, so that the machine's speed of one minute is not that of one point.
std::uint64_t run_growth(const Options& options) {
  const int rounds = options.quick ? 1 : 5;
  std::vector<Point> memory{{1000}, {2000}, {4000}, {6000}, {9000}}, broadcast = memory;
  std::vector<Point> deliveries{{50'000}, {100'000}, {200'000}, {400'000}};
  std::uint64_t violations = 0;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < memory.size(); ++i) {
      Belfry belfry(options, Target::Cores::first);
      const auto before = static_cast<double>(belfry.target->private_memory());
      Load load(*belfry.target);
      load.open(memory[i].x, Transport::sse, kTopic);
      memory[i].runs.push_back(static_cast<double>(belfry.target->private_memory()) - before);
      load.connect_publishers(1);
      load.play(plan_of(memory[i].x, 0, 5));
      const Cpu used = belfry.target->cpu();
      load.play(plan_of(memory[i].x, 5, 40));
      broadcast[i].runs.push_back((belfry.target->cpu() - used).total() / 40);
      violations += load.violations().total();
    }
    Belfry belfry(options, Target::Cores::first);
    Load load(*belfry.target);
    load.open(1000, Transport::sse, kTopic);
    load.connect_publishers(1);
    load.play(plan_of(1000, 0, 10));
    std::uint64_t number = 10;
    for (Point& point : deliveries) {
      const Cpu used = belfry.target->cpu();
      load.play(plan_of(1000, number, point.x / 1000));
      number += point.x / 1000;
      point.runs.push_back((belfry.target->cpu() - used).total());
    }
    violations += load.violations().total();
    std::fprintf(stderr, "\rround %d of %d ", round + 1, rounds);
  }
  std::fprintf(stderr, "\r                \r");
  std::printf(
      "Medians of %d rounds over all points; the line goes through nothing and is fitted to them.\n",
      rounds);
  print_points(options, "growth-memory", "SSE sessions", "user memory, MB", 1e-6, memory);
  print_points(options, "growth-sessions", "SSE sessions", "CPU of one event to all, ms", 1e3, broadcast);
  print_points(options, "growth-deliveries", "deliveries to 1,000 sessions", "CPU, s", 1, deliveries);
  return violations;
}

}  // namespace belfry::bench
