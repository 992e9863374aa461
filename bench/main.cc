// ./dev bench: Belfry against the practical limit; ./dev bench peers: and against every peer that is
// installed. On loopback, servers on core 0, clients on core 1. Prints Markdown.
//
// Figures are ratios in one run, or CPU per unit: the machine's speed changes from minute to minute. Ends
// with 1 if an event was lost, doubled or out of order.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "load.h"
#include "workloads.h"

using namespace belfry::bench;

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) out.push_back(word);
  return out;
}

int help() {
  std::printf(
      "belfry_bench [--quick] [--pairs N] [--servers NAME,…] [--peers] [--json FILE] [--rows ROW,…] "
      "[WORKLOAD…]\n\n"
      "  --quick    less of everything: whether it works, not how fast it is\n"
      "  --pairs    runs of each server that stand between two agreeing runs of the limit loop [10];\n"
      "             of neighbours: runs with and without the attack on their server [3]\n"
      "  --servers  descriptions of bench/servers to compare [belfry]\n"
      "  --peers    all of them, and only the workloads that compare servers\n"
      "  --only     of the tables of fan-out those whose name holds this: 'ws-10k'\n"
      "  --rows     of the workload neighbours: 'marks,presence'\n"
      "  --json     adds a line of JSON for each server and workload\n\nworkloads:\n");
  for (const auto& workload : workloads()) std::printf("  %-10s %s\n", workload.name, workload.title);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Options options = locate(argv[0]);
  std::vector<std::string> wanted;
  bool peers = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
    if (word == "--quick") {
      options.quick = true;
      if (!options.pairs_chosen) options.pairs = 3;
    } else if (word == "--json") {
      options.json = value();
    } else if (word == "--only") {
      options.only = value();
    } else if (word == "--pairs") {
      options.pairs = std::max(1, std::atoi(value().c_str()));
      options.pairs_chosen = true;
    } else if (word == "--rows") {
      options.rows = split(value());
    } else if (word == "--servers") {
      options.servers = split("limit," + value());
    } else if (word == "--peers") {
      peers = true;
      options.servers = split("limit,belfry,nchan,pushpin,centrifugo,mercure,ws,socketio");
    } else if (word == "--help") {
      return help();
    } else {
      wanted.push_back(word);
    }
  }
  std::uint64_t violations = 0;
  for (const auto& workload : workloads()) {
    const bool chosen = (wanted.empty() && (!peers || workload.peers)) ||
                        std::find(wanted.begin(), wanted.end(), workload.name) != wanted.end();
    if (!chosen) continue;
    std::printf("\n## %s\n\n", workload.title);
    try {
      violations += workload.run(options);
    } catch (const Unanswered& error) {
      std::fprintf(stderr, "bench: %s\n", error.what());
      return 1;
    }
  }
  std::printf("\nlost, doubled or out of order: %llu\n", static_cast<unsigned long long>(violations));
  return violations == 0 ? 0 : 1;
}
