#pragma once
// The other side: many sessions and some publishers on one epoll thread, pinned apart from the server.
// Every event carries a number; every session checks that they come one after the other.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "target.h"

namespace belfry::bench {

enum class Transport { sse, websocket };

// A session that takes whatever number comes first.
inline constexpr std::uint64_t unknown_number = ~std::uint64_t{0};

struct Violations {
  std::uint64_t lost = 0, doubled = 0;
  std::uint64_t total() const { return lost + doubled; }
};

class Load {
 public:
  // `mark` stands before the number in what is delivered: the publisher's own, or the topic's `seq` where
  // several publishers at once leave the order of their numbers open.
  explicit Load(Target& target, std::string_view mark = "\"n\":");
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Opens sessions on a topic and waits until each has been answered.
  void open(std::size_t count, Transport transport, const std::string& topic, const std::string& since = {},
            std::uint64_t first_number = 0);
  // One session on the feed of the token's user, by server-sent events; wait_ready() waits for all of them.
  void open_feed(const std::string& token);
  void wait_ready();
  // Connects publishers; each has one request in flight at most.
  void connect_publishers(std::size_t count);

  // Publishes `count` bodies, made by number, over all publishers, `window` in flight, and waits for the
  // answers. With `wait_for_deliveries`, an event counts as in flight until every session has it.
  enum class Until { answered, delivered };
  void publish(std::uint64_t count, std::size_t window,
               const std::function<std::string(std::uint64_t)>& body, Until until);

  std::uint64_t deliveries() const { return deliveries_; }
  // Reads until that many deliveries came, or for 60 s.
  bool wait_deliveries(std::uint64_t count);
  const Violations& violations() const { return violations_; }
  // Ends every session and publisher.
  void close_all();

 private:
  struct Connection;
  Connection& connect();
  void send(Connection& connection, const std::string& text) const;
  void turn(int timeout_ms);
  void take(Connection& connection, std::string_view bytes);
  void take_events(Connection& connection, std::string_view bytes);
  void take_answers(Connection& connection, std::string_view bytes);

  Target& target_;
  const std::string_view mark_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> publishers_;
  std::size_t sessions_ = 0, ready_ = 0;
  std::uint64_t answered_ = 0, refused_ = 0, deliveries_ = 0;
  Violations violations_;
};

// A monotonic clock in seconds, for latencies and for giving up.
double seconds();

}  // namespace belfry::bench
