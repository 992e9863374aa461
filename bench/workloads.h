#pragma once
// What is measured. Each prints its table and gives the number of violations it saw.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../tests/testing/temporary_folder.h"
#include "load.h"
#include "target.h"

namespace belfry::bench {

struct Options {
  std::string bin;                                      // where this program is
  std::string limit, belfry;                            // programs
  std::vector<std::string> servers{"limit", "belfry"};  // names of descriptions
  std::string json;                                     // file that lines of JSON are added to; empty: none
  std::string only;  // of the tables of fan-out: those with this in their name
  std::vector<std::string> rows;  // of the workload neighbours; empty: all
  int pairs = 10;
  bool pairs_chosen = false;  // by the caller
  bool quick = false;
};
Options locate(const char* program);

struct Workload {
  const char* name;
  const char* title;
  std::uint64_t (*run)(const Options& options);
  bool peers = false;  // compares servers
};
const std::vector<Workload>& workloads();

// A Belfry with its data in a folder of its own.
struct Belfry {
  testing::TemporaryFolder folder;
  std::unique_ptr<Target> target;
  // `data`: a data folder of the caller's; empty: a fresh one.
  explicit Belfry(const Options& options, Target::Cores cores = Target::Cores::first, std::string data = {},
                  std::vector<std::string> more = {});
  // A token of a user with the default rights.
  std::string token_of(const std::string& user) const;

 private:
  std::string secret_;
};

// Of the middle; 0 if there are none.
double median(std::vector<double> values);
// The cursor of the newest event of a topic, by a poll.
std::string net_cursor(Target& target, const std::string& topic);
std::string event_body(const std::string& topic, std::uint64_t number, std::size_t payload_bytes);

std::uint64_t run_broadcast(const Options& options);
std::uint64_t run_burst(const Options& options);
std::uint64_t run_topics(const Options& options);
std::uint64_t run_poll(const Options& options);
std::uint64_t run_latency(const Options& options);
std::uint64_t run_post(const Options& options);
std::uint64_t run_idle(const Options& options);
std::uint64_t run_publish(const Options& options);
std::uint64_t run_resume(const Options& options);
std::uint64_t run_full(const Options& options);
std::uint64_t run_million(const Options& options);
std::uint64_t run_rare(const Options& options);
std::uint64_t run_replay(const Options& options);
std::uint64_t run_feed(const Options& options);
std::uint64_t run_growth(const Options& options);
std::uint64_t run_slow(const Options& options);
std::uint64_t run_secure(const Options& options);
std::uint64_t run_storm(const Options& options);
std::uint64_t run_quiet(const Options& options);
std::uint64_t run_neighbours(const Options& options);

}  // namespace belfry::bench
