#pragma once
// A client that does its worst: many connections on one epoll thread, each as fast as its window allows.
// It reads all that is answered, so that nothing but the server slows it down.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace belfry::bench {

// What one connection of an attacker does. All texts are bytes as they go over the wire.
struct Script {
  std::string opening;  // sent once connected: the head of an upgrade, or a request for a stream
  std::string hello;    // WebSocket: frames sent once the upgrade is through
  // Sent over and over, beginning with the one of number `first`; null: the connection only reads.
  std::shared_ptr<const std::vector<std::string>> actions;
  std::size_t first = 0;
  std::size_t window = 4;  // actions without an answer
  std::string answer;      // stands once in each answer, before its status or its name
  std::string end;         // once this has come the connection is closed and opened again; empty: never
};

struct AttackFigures {
  std::uint64_t answered = 0, refused = 0;  // actions
  std::uint64_t rounds = 0;                 // connections that came to their end
  std::uint64_t broken = 0;                 // connections that the server ended
  std::uint64_t bytes = 0;                  // read
};

// The figures so far; any thread.
struct AttackCounters {
  std::atomic<std::uint64_t> answered{0}, refused{0}, rounds{0}, broken{0}, bytes{0};
  AttackFigures figures() const { return {answered, refused, rounds, broken, bytes}; }
};

class Attacker {
 public:
  // Begins at once, on the cores of the calling thread, which is served before it.
  Attacker(int port, std::vector<Script> scripts);
  // Ends the thread and resets all connections.
  ~Attacker();
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;
  AttackFigures figures() const { return counters_.figures(); }

 private:
  const std::vector<Script> scripts_;
  AttackCounters counters_;
  std::jthread thread_;
};

}  // namespace belfry::bench
