#pragma once
// Several servers in one run. The machine's speed changes from minute to minute, so every run of a server
// stands between two runs of the limit loop, and is told as a ratio to them; where the two differ by more
// than 1.35 the pair is dropped.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "workloads.h"

namespace belfry::bench {

// What one run gave; not every workload gives all.
struct Figures {
  double cpu_us = 0, user_us = 0;  // for each delivery, publish, connect or resumed session
  double rate = 0;                 // of these a second, by the wall clock
  double p50_ms = 0, p99_ms = 0;
  double user_bytes = 0, kernel_bytes = 0;  // for each session
  std::uint64_t violations = 0;
};

struct Compared {
  std::string server, title;
  std::vector<Figures> runs;
  std::vector<std::pair<Figures, Figures>> pairs;  // limit (the mean of both) and the server, where kept
  std::string left_out;                            // why the server is not in the table; empty: it is
};

using Measure = std::function<Figures(Target& target)>;

// The servers of a run: the limit loop first, then Belfry, then the peers that were asked for.
std::vector<Description> chosen_servers(const Options& options);

// `fresh`: each run starts its server anew. A peer that cannot do it is left out; of Belfry and the limit
// loop that is thrown on.
std::vector<Compared> compare(const Options& options, const std::vector<Description>& servers, int pairs,
                              const Measure& measure, bool fresh = false);

// One point of a plot, as a line of JSON if the options name a file.
void write_point(const Options& options, const char* workload, double x, double y);

// Adds a line to the file that the options name, if they do.
void add_json(const Options& options, const std::string& line);

// A table, and a line of JSON for each server if the options name a file. Gives the violations.
enum class Columns { cost, latency, memory };
std::uint64_t print_compared(const Options& options, const char* workload, const char* what,
                             const std::vector<Compared>& all, Columns columns);

}  // namespace belfry::bench
