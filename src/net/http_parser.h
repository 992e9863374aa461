#pragma once
// HTTP/1.1 messages from bytes (RFC 9112), by Boost.Beast's parser, which is kept to one .cc.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/exchange.h"

namespace belfry::net {

// One request at a time. Bounds: limits::header_bytes_max, header_fields_max, body_bytes_max.
class RequestParser {
 public:
  RequestParser();
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;

  enum class Progress { head, body, done };
  // Takes what it can use from the front of `bytes` and says how much that was. An error ends the
  // connection.
  Result<std::size_t> feed(std::string_view bytes);
  Progress progress() const;
  // Whether the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  bool keep_alive() const;

  // REQUIRES: progress() is done. The request without `peer`; fails on a target, header or length that is
  // malformed.
  Result<Request> take();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class ResponseParser {
 public:
  ResponseParser();
  ~ResponseParser();

  // Pieces of body come out of take_body as they arrive.
  Result<std::size_t> feed(std::string_view bytes);
  // The peer has closed: the end of a body without length. False if that cuts the answer.
  bool finish();
  bool head_done() const;
  bool done() const;
  Response head() const;  // status and headers
  std::string take_body();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ASCII letters only, as names of headers are compared (RFC 9110 section 5.1).
std::string lower_case(std::string_view text);

// What may be sent as a body: unsupported_media_type for a compressed one.
Result<void> check_content(const Request& request);

// "/v1/events?topic=a%2Fb" to a decoded path and query.
Result<void> parse_target(std::string_view target, Request& request);

}  // namespace belfry::net
