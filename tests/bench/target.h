#pragma once
// A server under measurement: a child process, pinned, with its CPU time and memory from /proc.

#include <cstdint>
#include <string>
#include <vector>

namespace belfry::bench {

struct Cpu {
  double user_s = 0;
  double system_s = 0;
  double total() const { return user_s + system_s; }
};
inline Cpu operator-(const Cpu& a, const Cpu& b) { return {a.user_s - b.user_s, a.system_s - b.system_s}; }

class Target {
 public:
  // Starts the command and waits for the first http://127.0.0.1:PORT on its standard output. Ends the
  // process at the end. Stops the program with a message if that fails.
  enum class Cores { first, all };
  Target(std::string name, std::vector<std::string> command, Cores cores = Cores::first);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  const std::string& name() const { return name_; }
  int port() const { return port_; }
  std::string token, key;  // credentials, for a target that wants them

  // user and system time so far; 10 ms ticks, of all threads.
  Cpu cpu() const;
  // Private memory in bytes (smaps_rollup).
  std::uint64_t private_memory() const;
  // A counter of /metrics, summed; 0 if there is none.
  double metric(const std::string& name) const;

 private:
  std::string name_;
  int pid_ = 0;
  int port_ = 0;
  int output_ = -1;
};

}  // namespace belfry::bench
