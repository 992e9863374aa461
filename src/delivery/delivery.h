#pragma once
// The ways out: a stream (SSE, NDJSON), a WebSocket, a poll. Each is an outlet of the hub on an exchange of
// net.
//
// Route:  hub/shard -> here (frames from wire, encoded once) -> net/exchange.
// Owner:  Streams owns every stream of one shard thread, until its exchange is closed. Thread: the shard's.
// Bound:  a stream holds back at most the rest of one frame (net); a poll holds its answer until it is
// complete. Always: one cursor is valid on all of them; every stream begins by telling the client its
// cursor.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "delivery/admission.h"
#include "delivery/desk.h"
#include "delivery/frame_run.h"
#include "hub/hub.h"
#include "net/net.h"
#include "wire/wire.h"

namespace belfry {

class Gatekeeper;
class Stream;

// What the streams of one shard thread share; all of it outlives them.
struct DeliveryParts {
  Shard& shard;
  const Tail& tail;
  const EpochTable& epochs;
  const Clock& clock;
  Gatekeeper& gate;
  Desk& desk;
  Admission& admission;
  Duration heartbeat;                                // as the shard's; told to clients
  std::function<void()> schedule_turn;               // soon: Shard::advance
  std::function<void(std::function<void()>)> later;  // after the current callbacks have returned
};

// Who may connect on a WebSocket, where the token comes in a message. Implemented by api.
class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;
  virtual Result<Principal> authenticate(std::string_view token) = 0;
  // Whether somebody who was let in earlier may still come in.
  virtual Result<void> check(const Principal& principal) = 0;
};

// What a client asks for, as it says it.
struct Wish {
  std::vector<std::string> topics;
  std::vector<std::string> types;
  std::string since{};  // a cursor, "now", "earliest"; empty: now
  bool feed = false;    // the caller's feed too
};

// Checks the grammar, the number, and the right to every pattern. A feed needs a user, and no topic beside.
Result<std::vector<Selector>> check_selectors(const Wish& wish, const Principal& principal);
// The caller's feed too.
void attach_feed(Attach& attach, std::string user, std::vector<std::string> types);

// Where a session begins. A cursor that is not of this log does not fail: it begins with a reset.
Attach place_session(std::string_view since, const EpochTable& epochs, Offset head);

// How SSE names its events, and what they are.
enum class SseNames { event_types, message_only, cloud_events };

struct PollWish {
  std::string since;          // as given; empty: answer at once with where to begin
  std::string if_none_match;  // the cursor of an ETag, without quotes; empty: none
  Duration wait{0};           // 0: short poll
  bool cloud_events = false;  // the answer is a batch of CloudEvents, the cursor in its headers
  std::string next_prefix;    // "/v1/events?topic=…&since=", to which the cursor is appended
};

class Streams {
 public:
  explicit Streams(DeliveryParts parts);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  void open_sse(net::Exchange& exchange, Seat seat, Attach attach, SseNames names,
                const std::vector<net::Field>& headers);
  void open_json_lines(net::Exchange& exchange, Seat seat, Attach attach, bool cloud_events,
                       const std::vector<net::Field>& headers);
  void open_poll(net::Exchange& exchange, Seat seat, Attach attach, PollWish wish,
                 const std::vector<net::Field>& headers);
  // REQUIRES: net::check_websocket_upgrade passed. The topics come in its first message, and the token too
  // unless it is known already who it is.
  void open_websocket(net::Exchange& exchange, Seat seat, std::optional<Principal> known);
  // A native EventSource stops for good at anything but 200 (WHATWG HTML section 9.2.3), so it is told by a
  // stream that ends at once, with a `retry` of its own.
  void refuse_sse(net::Exchange& exchange, const Error& error, const std::vector<net::Field>& headers);
  // The stream of this shard that was opened with the ticket ends.
  void end_ticket(std::uint64_t ticket) { parts_.shard.end_ticket(ticket); }

  // Long polls whose time is up, WebSockets that never said who they are; every limits::tick_interval.
  void tick(Instant now);
  // After each turn of the shard.
  void after_turn();
  std::size_t size() const { return count_; }

 private:
  friend class Stream;

  template <class Kind, class... Arguments>
  Kind& make(Arguments&&... arguments);
  void drop(Stream& stream);  // deletes it once nothing calls it any more
  // Calls the stream's go_on() in a later turn of the loop, behind those that wait for theirs already.
  void go_on_later(Stream& stream);
  void post_go_on();

  DeliveryParts parts_;
  std::vector<std::unique_ptr<Stream>> slots_;
  std::vector<std::unique_ptr<Stream>> dropped_;  // deleted when nothing calls them any more
  std::vector<std::uint32_t> free_slots_;
  std::vector<Stream*> timed_;     // those with a deadline
  FrameRun run_;                   // of the last write
  std::vector<Stream*> turn_end_;  // those that want on_turn_end
  std::deque<Stream*> waiting_;    // those that want go_on, one in each turn of the loop
  bool go_on_posted_ = false;
  std::size_t count_ = 0;
};

}  // namespace belfry
