#pragma once
// What is measured. Each prints its table and gives the number of violations it saw.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../testing/temporary_folder.h"
#include "load.h"
#include "target.h"

namespace belfry::bench {

struct Options {
  std::string limit, belfry;  // programs
  bool quick = false;
};
Options locate(const char* program);

struct Workload {
  const char* name;
  const char* title;
  std::uint64_t (*run)(const Options& options);
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

double median(std::vector<double> values);
// The cursor of the newest event of a topic, by a poll.
std::string net_cursor(Target& target, const std::string& topic);
std::string event_body(const std::string& topic, std::uint64_t number, std::size_t payload_bytes);

std::uint64_t run_broadcast(const Options& options);
std::uint64_t run_burst(const Options& options);
std::uint64_t run_lone(const Options& options);
std::uint64_t run_idle(const Options& options);
std::uint64_t run_publish(const Options& options);
std::uint64_t run_resume(const Options& options);
std::uint64_t run_rare(const Options& options);
std::uint64_t run_feed(const Options& options);
std::uint64_t run_slow(const Options& options);
std::uint64_t run_secure(const Options& options);
std::uint64_t run_storm(const Options& options);
std::uint64_t run_quiet(const Options& options);

}  // namespace belfry::bench
