#pragma once
// One HTTP request and its answer, whatever version of HTTP carries it.
//
// Owner:  the connection. Thread: its loop's. The handler may keep a pointer until it has answered whole
// (respond) or
//         until StreamEvents::on_closed; after either, the exchange is gone.
// Bound:  a stream holds back at most the rest of one piece, plus limits::control_bytes_max of control
// bytes.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/base.h"

namespace belfry::net {

// A header field or query parameter; names of headers are lower case.
using Field = std::pair<std::string, std::string>;

struct Request {
  std::string method;
  std::string path;                   // percent-decoded, always begins with '/'
  std::vector<std::string> segments;  // of the path, each percent-decoded on its own
  std::vector<Field> query;           // percent-decoded, in order, repeats kept
  std::vector<Field> headers;
  std::string body;
  std::string peer;     // address of the client, without port
  bool secure = false;  // it came over TLS
  bool tunnel = false;  // an extended CONNECT for a WebSocket (RFC 8441), told as a GET

  // The first of that name, or nothing. `name` in lower case.
  std::optional<std::string_view> header(std::string_view name) const;
  std::optional<std::string_view> parameter(std::string_view name) const;
  std::vector<std::string_view> parameters(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::vector<Field> headers;  // without Content-Length and Connection
  std::string body;
};

// What a stream tells its owner. Never called from inside a call of the owner into the exchange.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  // There is room again after a write that was not taken whole.
  virtual void on_writable() = 0;
  // Bytes from the client; only after upgrade(). The view is valid during the call.
  virtual void on_bytes(std::string_view bytes) = 0;
  // The peer is gone, or close() has finished. The exchange is gone when this returns.
  virtual void on_closed() = 0;
};

struct Taken {
  std::size_t pieces = 0;  // leading pieces that will go out whole
  bool blocked = false;    // no room until on_writable
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  // Valid until the handler returns or answers, whichever is first.
  virtual const Request& request() const = 0;

  // The whole answer. The connection goes on with the next request.
  virtual void respond(Response response) = 0;

  // The answer comes later, by respond. If the peer leaves before, `events` hears on_closed, and nothing
  // else.
  virtual void defer(StreamEvents& events) = 0;

  // The head of an answer without end (SSE, NDJSON); its body follows by write().
  virtual void begin(int status, const std::vector<Field>& headers, StreamEvents& events) = 0;
  // Switches to WebSocket (RFC 6455 section 4.2.2, or RFC 8441): sends the handshake; then bytes both ways.
  virtual void upgrade(const std::vector<Field>& headers, StreamEvents& events) = 0;

  // Writes what the socket takes now, in one system call. A piece of which a part was taken is finished
  // later by the exchange; pieces after it are not taken. Nothing is taken while blocked.
  virtual Taken write(std::span<const std::string_view> pieces) = 0;
  // A few bytes that must not be lost behind a full socket (pong, close): taken even when blocked, up to
  // limits::control_bytes_max in all; false beyond that.
  virtual bool write_control(std::string_view bytes) = 0;
  // After upgrade(): nothing more of the connection is read until take_input() or close(); what was read
  // already still comes, at most one read of the socket. The client's end is heard afterwards. For an owner
  // that has more to do than one turn of the loop is for.
  virtual void hold_input() = 0;
  virtual void take_input() = 0;
  // After upgrade(): how many bytes of the client's input its owner keeps now, because more has to come.
  // They are counted with what requests hold (ConnectionBudget) until it keeps none, or the exchange is
  // gone. False, and nothing has changed: it may not keep so many.
  virtual bool keep(std::size_t bytes) = 0;
  // Ends the stream once what is held back has gone out, at the latest after a few seconds; then on_closed.
  virtual void close() = 0;
};

// Takes each request as soon as its body is whole. A parse error is answered by the connection itself.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void on_request(Exchange& exchange) = 0;
};

// {"code":…,"message":…,"hint":…,"field":…} with the code's status; the form of every refusal.
Response error_response(const Error& error);
std::string error_json(const Error& error);

}  // namespace belfry::net
