#pragma once
// A server under measurement: a child process and what it starts, pinned, with their CPU time and memory
// from /proc.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../tests/testing/temporary_folder.h"
#include "description.h"

namespace belfry::bench {

struct Cpu {
  double user_s = 0;  // of 10 ms ticks
  double total_s = 0;
  double total() const { return total_s; }
};
inline Cpu operator-(const Cpu& a, const Cpu& b) { return {a.user_s - b.user_s, a.total_s - b.total_s}; }

class Target {
 public:
  enum class Cores { first, all };
  // Starts the command and waits for the first http://127.0.0.1:PORT on its standard output. It is spoken
  // to as Belfry is. Ends the process at the end. Stops the program with a message if that fails.
  Target(std::string name, std::vector<std::string> command, Cores cores = Cores::first);
  // Starts what is described, in a folder and on a port of its own, and waits until it accepts.
  Target(const Description& description, const std::string& bin, Cores cores = Cores::first);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  const std::string& name() const { return description_.name; }
  const Description& description() const { return description_; }
  int port() const { return port_; }
  int pid() const { return pid_; }
  std::string token, key;  // credentials, for a target that wants them
  Words words(const std::string& topic, const std::string& since = {}) const;

  // Time so far, of all its processes and threads.
  Cpu cpu() const;
  // Private memory in bytes (smaps_rollup), of all its processes.
  std::uint64_t private_memory() const;
  // A counter of /metrics, summed; 0 if there is none.
  double metric(const std::string& name) const;

 private:
  std::vector<int> processes() const;
  void start(std::vector<std::string> command, Cores cores);
  void read_credentials();

  Description description_;
  std::unique_ptr<testing::TemporaryFolder> folder_;
  int pid_ = 0;
  int port_ = 0, second_port_ = 0;
  int output_ = -1;
};

// Memory that the kernel holds for everybody: its caches of objects (/proc/meminfo, Slab), in bytes.
std::uint64_t kernel_memory();

}  // namespace belfry::bench
