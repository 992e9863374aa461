#pragma once
// HTTP/2 (RFC 9113) on one connection, by nghttp2: requests come in, and each answer or stream is pulled
// out of its exchange when the windows and the socket have room. WebSocket comes by extended CONNECT
// (RFC 8441).
//
// Owner:  the connection. Thread: the loop's.
// Bound:  limits::http2_streams_max streams; each holds back limits::http2_held_bytes and the rest of a
//         piece; request bodies together limits::http2_bodies_bytes_max. Over limits::unread_bytes_max of
//         what the client has not taken, requests wait for their turn, and in a turn of the loop
//         limits::requests_turn_max are served; an answer that would make it more than
//         limits::unread_bytes_hard is not given. What costs work and brings nothing (resets, control
//         frames, broken frames) is spent from a budget; beyond it the connection ends.
// Always: a request reaches the handler only after the read in which it came was taken whole, so one that
//         was reset at once never does. Nothing of nghttp2 is called from inside its callbacks but
//         submissions. A stream's owner hears on_closed, whether the stream, the connection or this dies
//         first.

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "net/connection_budget.h"
#include "net/exchange.h"
#include "net/protocol.h"

namespace belfry::net {

class Connection;
class Http2Stream;

// So many at once, and so many a second.
class Budget {
 public:
  Budget(std::uint32_t burst, std::uint32_t per_second) : burst_(burst), rate_(per_second), left_(burst) {}
  // False: overdrawn.
  bool spend(Instant now);

 private:
  std::uint32_t burst_, rate_, left_;
  Instant last_;
};

class Http2 final : public Protocol {
 public:
  explicit Http2(Connection& connection);
  ~Http2() override;

  void start();
  void take(std::string_view bytes) override;
  bool wants_more() const override;
  void on_input_closed() override;
  void on_room() override;
  void time_out() override;
  void drain() override;
  void on_dead() override;
  std::size_t holds_too_much() const override { return std::max(requests_.too_much(), held_.too_much()); }
  // What Connection::flush_later was asked for.
  void on_flush();

 private:
  friend class Http2Stream;
  friend struct Http2Callbacks;

  void schedule_flush();
  void flush();
  void dispatch();
  bool can_serve() const;
  void serve();
  void serve_later();
  void bury();
  void update_deadline();
  void fail_connection(std::string_view why, std::uint32_t error = NGHTTP2_ENHANCE_YOUR_CALM);
  void end_session(std::uint32_t error);
  void check_frame(const nghttp2_frame_hd& head);
  void open(std::int32_t id);
  void close(Http2Stream& stream);
  Http2Stream* find(std::int32_t id) const;
  void on_frame(const nghttp2_frame& frame);
  void on_frame_head(const nghttp2_frame_hd& head);
  void on_sent(const nghttp2_frame& frame);
  // Whether so many more bytes of an answer may wait to be taken. A single answer always may.
  bool has_room_for(std::size_t bytes) const {
    return unread_ == 0 || unread_ + bytes <= limits::unread_bytes_hard;
  }
  // Its answer has no room.
  void refuse(Http2Stream& stream);
  // It holds the input of the connection no longer, if it did.
  void release_input(Http2Stream& stream);

  Connection& connection_;
  nghttp2_session* session_ = nullptr;
  BytesLease requests_;  // what the streams' requests hold
  std::vector<std::unique_ptr<Http2Stream>> streams_;
  std::vector<std::unique_ptr<Http2Stream>> closed_;  // to be told so once nghttp2 has returned
  std::vector<std::int32_t> arrived_;                 // have a request, or bytes of a tunnel
  std::vector<std::int32_t> waiting_;                 // have a request, which is not served yet
  std::vector<std::int32_t> roomy_;                   // wait for on_writable no longer
  std::size_t body_bytes_ = 0;  // of requests that are not whole yet, and of tunnels before their turn
  std::size_t unread_ = 0;                            // bytes that wait in the streams
  BytesLease held_;                                   // for these
  Budget resets_, controls_, updates_;
  std::uint32_t holding_ = 0;                                   // streams whose owners hold the input
  std::int32_t newest_ = -1;                                    // stream that the client opened
  std::vector<std::pair<std::int32_t, std::int32_t>> skipped_;  // ids below it that it never will
  bool flush_posted_ = false;
  bool serve_posted_ = false;
  bool ticking_ = false;  // the deadline is that of a look at the streams,
  bool idle_ = true;      // or of a connection without any; at first, of the preface
  bool heard_ = false;    // a whole frame, since that was set
  bool failed_ = false;
  bool draining_ = false;      // no more requests: it ends with its last stream
};

}  // namespace belfry::net
