// ./dev bench: Belfry against the practical limit, on loopback, server on core 0, clients on core 1. Prints
// Markdown.
//
// Figures are ratios in one run, or CPU per unit: the machine's speed changes from minute to minute. Ends
// with 1 if an event was lost, doubled or out of order.

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "workloads.h"

using namespace belfry::bench;

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options = locate(argv[0]);
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--quick") {
      options.quick = true;
    } else if (word == "--help") {
      std::printf("belfry_bench [--quick] [WORKLOAD…]\nworkloads:");
      for (const auto& workload : workloads()) std::printf(" %s", workload.name);
      std::printf("\n");
      return 0;
    } else {
      wanted.push_back(word);
    }
  }
  std::uint64_t violations = 0;
  for (const auto& workload : workloads()) {
    const bool chosen =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), workload.name) != wanted.end();
    if (!chosen) continue;
    std::printf("\n## %s\n\n", workload.title);
    violations += workload.run(options);
  }
  std::printf("\nlost, doubled or out of order: %llu\n", static_cast<unsigned long long>(violations));
  return violations == 0 ? 0 : 1;
}
