#pragma once
// WebSocket frames (RFC 6455 sections 5 to 7), without a socket: the same for HTTP/1.1 and HTTP/2.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/base.h"
#include "net/byte_queue.h"
#include "net/exchange.h"

namespace belfry::net {

// Server to client, unmasked, in one frame.
std::string websocket_text(std::string_view payload);
std::string websocket_ping(std::string_view payload);
std::string websocket_pong(std::string_view payload);
// `reason` is cut to 123 bytes at a character boundary.
std::string websocket_close(int code, std::string_view reason);

// Whether a request asks for a WebSocket at all, and if so, whether it may have one (RFC 6455
// section 4.2.1): Code::upgrade_required for another version, bad_request for anything malformed.
bool wants_websocket(const Request& request);
Result<void> check_websocket_upgrade(const Request& request);

// Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2).
std::string websocket_accept(std::string_view key);

struct WebSocketMessage {
  enum class Kind { text, binary, ping, pong, close } kind = Kind::text;
  std::string payload;    // of a close: the reason
  int close_code = 1005;  // 1005: none was given
};

// Takes bytes from a client, gives whole messages. Bound: limits::websocket_message_bytes_max a message and
// limits::websocket_fragments_max fragments, checked before anything is allocated.
class WebSocketParser {
 public:
  // Appends bytes; then call next() until it gives nothing.
  void feed(std::string_view bytes);
  // A message, nothing yet, or an error that ends the connection: protocol_error (1002: unmasked, reserved
  // bits, bad opcode, fragmented control…), body_too_large (1009), bad_utf8 (1007), too many fragments
  // (1008).
  struct Failure {
    int close_code;
    std::string reason;
  };
  std::optional<WebSocketMessage> next();
  const std::optional<Failure>& failure() const { return failure_; }
  // Nothing is incomplete: the parser may be thrown away and made anew.
  bool idle() const { return input_.empty() && !in_message_; }
  // The last data message has begun and is not whole. Control messages may come between its fragments.
  bool in_message() const { return in_message_; }
  // Bytes of what is incomplete, or not asked for yet. Once next() gave nothing, the memory is twice that,
  // and some hundred bytes.
  std::size_t held() const { return input_.size() + message_.size(); }
  std::size_t memory() const { return input_.capacity() + message_.capacity(); }

 private:
  struct Frame {
    bool final = false;
    int opcode = 0;
    std::string payload;
  };
  std::optional<Frame> take_frame();
  bool check_head(unsigned char first, unsigned char second, std::uint64_t length);
  std::optional<WebSocketMessage> take_control(Frame frame);
  std::optional<WebSocketMessage> take_data(Frame frame);
  void fail(int code, std::string reason);

  ByteQueue input_;
  std::string message_;
  bool in_message_ = false;
  bool message_is_text_ = false;
  std::size_t fragments_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace belfry::net
