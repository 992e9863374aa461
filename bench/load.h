#pragma once
// The other side: many sessions and some publishers on one epoll thread, pinned apart from the server.
// Every event carries a number; every session checks that they come one after the other.

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"
#include "target.h"

namespace belfry::bench {

// A session that takes whatever number comes first.
inline constexpr std::uint64_t unknown_number = ~std::uint64_t{0};

struct Violations {
  std::uint64_t lost = 0, doubled = 0;
  std::uint64_t total() const { return lost + doubled; }
};

// A server did not let in all that came, within a minute: what() says which, and how many.
struct Unanswered : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Load {
 public:
  explicit Load(Target& target);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Opens sessions on a topic and waits until each has been answered.
  void open(std::size_t count, Transport transport, const std::string& topic, const std::string& since = {},
            std::uint64_t first_number = 0);
  // One session on the feed of the token's user, by server-sent events; wait_ready() waits for all of them.
  void open_feed(const std::string& token);
  // As open, without waiting.
  void begin(std::size_t count, Transport transport, const std::string& topic,
             const std::string& since = {}, std::uint64_t first_number = 0);
  // A server that is overrun with connects may end some at once, and rightly: those are opened again.
  void wait_ready();
  // Connects publishers; each has one request in flight at most.
  void connect_publishers(std::size_t count);

  // Publishes `count` bodies, made by number, over all publishers, `window` in flight, and waits for the
  // answers; or, `delivered`, until every session has them: an event counts as in flight that long.
  enum class Until { answered, delivered };
  void publish(std::uint64_t count, std::size_t window,
               const std::function<std::string(std::uint64_t)>& body, Until until);
  // The same for any server: events with a number and `payload` bytes, each to the topic that is said, over
  // all publishers. Every event goes to `fanout` sessions.
  struct Plan {
    std::uint64_t count = 0;
    std::size_t window = 1, payload = 100, fanout = 0;
    std::function<std::string(std::uint64_t)> topic;     // of the i-th event
    std::function<std::uint64_t(std::uint64_t)> number;  // that it carries
    double per_second = 0;                               // 0: as fast as the window allows
    Until until = Until::delivered;
  };
  // Seconds that it took.
  double play(const Plan& plan);
  // From when an event was due to its arrival, of what play() published at a rate.
  const Histogram& latencies() const { return latencies_; }
  // From when it was due to the answer of its publish.
  const Histogram& answer_latencies() const { return answer_latencies_; }
  void forget_latencies() { latencies_.clear(), answer_latencies_.clear(); }
  // Publishes that were answered other than 20x.
  std::uint64_t refused() const { return refused_; }
  // How long answers and deliveries are waited for after the last publish; at a rate, after it was due.
  void set_patience(double seconds) { patience_ = seconds; }
  // Where several publishers at once leave the order open: each session checks how many events it got and
  // the sum of their numbers, against what was published.
  void accept_any_order(bool any) { any_order_ = any; }
  // Keeps the last id of server-sent events.
  void keep_ids() { keep_ids_ = true; }
  const std::string& last_id() const { return last_id_; }

  std::uint64_t deliveries() const { return deliveries_; }
  // Reads until that many deliveries came, or for 60 s.
  bool wait_deliveries(std::uint64_t count);
  Violations violations() const;
  // Ends every session and publisher.
  void close_all();

 private:
  struct Connection;
  Connection& connect(int port = 0);  // 0: the target's
  void dial(Connection& connection);
  // What opens a session on the channel.
  std::string opening(Transport transport, const std::string& get, const Words& words) const;
  void send(Connection& connection, const std::string& text) const;
  void turn(int timeout_ms);
  void take(Connection& connection, std::string_view bytes);
  void take_events(Connection& connection, std::string_view bytes);
  void take_frames(Connection& connection, std::string_view bytes);
  // Whole answers; each is followed by the next request.
  void take_polls(Connection& connection, std::string_view bytes);
  void count(Connection& connection, std::uint64_t number);
  void now_ready(Connection& connection);
  void ended(Connection& connection);
  bool open_again();
  void take_answers(Connection& connection, std::string_view bytes);
  void request(Connection& publisher, const std::string& topic, std::uint64_t number, std::size_t payload);
  void run_requests(std::uint64_t count, std::size_t window, std::size_t fanout, double per_second,
                    const std::function<void(Connection&, std::uint64_t)>& one, Until until);

  Target& target_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> publishers_;
  struct Opening {
    Transport transport;
    std::string topic, since;
    std::uint64_t first_number;
  };
  std::vector<Opening> openings_;  // of the calls of begin()
  std::size_t sessions_ = 0, ready_ = 0, closed_ = 0;
  std::uint64_t answered_ = 0, refused_ = 0, deliveries_ = 0;
  Violations violations_;
  Histogram latencies_, answer_latencies_;
  double patience_ = 60;
  bool any_order_ = false, keep_ids_ = false;
  std::string last_id_;
  std::uint64_t published_ = 0, published_sum_ = 0;  // while any order is accepted
  std::vector<double> due_;                          // of each number, while latencies are taken
};

// A monotonic clock in seconds, for latencies and for giving up.
double seconds();

// One message of a WebSocket client, of at most 64 KiB.
std::string masked_text(std::string_view payload);

}  // namespace belfry::bench
