// Reading what is stored: a whole topic, from its beginning.

#include <cstdio>

#include "compare.h"

namespace belfry::bench {
namespace {

std::string batch(std::uint64_t& number, const std::string& topic) {
  std::string body = "[";
  for (int i = 0; i < 1000; ++i) body += (i == 0 ? "" : ",") + event_body(topic, number++, 100);
  return body + "]";
}

}  // namespace

std::uint64_t run_replay(const Options& options) {
  const std::uint64_t events = options.quick ? 20'000 : 500'000;
  Belfry belfry(options);
  Load load(*belfry.target);
  load.connect_publishers(4);
  std::uint64_t number = 0;
  load.publish(
      events / 1000, 1, [&](std::uint64_t) { return batch(number, "replay"); }, Load::Until::answered);
  std::printf(
      "One topic with %llu events, read from its beginning by sessions at once.\n\n"
      "| sessions | events a second, all together | CPU µs for each event | pages of the store "
      "|\n|---|---|---|---|\n",
      static_cast<unsigned long long>(events));
  for (const std::size_t sessions : {std::size_t{1}, std::size_t{10}}) {
    const double pages = belfry.target->metric("belfry_pages_total");
    const std::uint64_t before = load.deliveries();
    const Cpu used = belfry.target->cpu();
    const double began = seconds();
    // What follows the topic stands in the query, as a description has no word for a beginning.
    load.begin(sessions, Transport::sse, "replay&since=earliest");
    load.wait_ready();
    (void)load.wait_deliveries(before + events * sessions);
    const double took = seconds() - began;
    const auto read = static_cast<double>(load.deliveries() - before);
    std::printf("| %zu | %.0f | %.2f | %.0f |\n", sessions, read / took,
                (belfry.target->cpu() - used).total() / read * 1e6,
                belfry.target->metric("belfry_pages_total") - pages);
  }
  return load.violations().total();
}

}  // namespace belfry::bench
