#pragma once
// HTTP/1.1 (RFC 9112) on one connection: reads requests, gives them to the handler, writes answers and
// streams.
//
// Owner:  the connection. Thread: the loop's.
// Bound:  parser, request and input exist only while a request is being read or answered. A request is
//         served only when the client has taken the answer before it, and limits::requests_turn_max in a
//         turn of the loop.
// Always: StreamEvents are never called from inside a call of the owner.

#include <memory>
#include <string>

#include "net/byte_queue.h"
#include "net/http_parser.h"
#include "net/http_server.h"
#include "net/protocol.h"

namespace belfry::net {

class Connection;

class Http1 final : public Exchange, public Protocol {
 public:
  explicit Http1(Connection& connection) : connection_(connection) {}

  void start();

  void take(std::string_view bytes) override;
  bool wants_more() const override;
  void on_input_closed() override;
  void on_room() override;
  void time_out() override;
  void drain() override;
  void on_dead() override;
  std::size_t holds_too_much() const override;

  const Request& request() const override;
  void respond(Response response) override;
  void defer(StreamEvents& events) override { events_ = &events; }
  void begin(int status, const std::vector<Field>& headers, StreamEvents& events) override;
  void upgrade(const std::vector<Field>& headers, StreamEvents& events) override;
  Taken write(std::span<const std::string_view> pieces) override;
  bool write_control(std::string_view bytes) override;
  void hold_input() override { input_held_ = true; }
  void take_input() override;
  bool keep(std::size_t bytes) override;
  void close() override;

 private:
  enum class Phase : std::uint8_t { reading, answering, stream, upgraded, closing };

  // What exists only around a request.
  struct Reading {
    explicit Reading(ConnectionBudget* budget) : held(budget, ConnectionBudget::Bytes::requests) {}
    RequestParser parser;
    ByteQueue input;
    Request request;
    BytesLease held;  // input, and what the parser has of the body
    bool continue_sent = false;
    bool input_closed = false;  // the client will send no more
    bool keep_alive = true;
    bool head_only = false;
  };

  bool can_serve() const;
  void serve();
  void serve_later();
  Result<bool> parse_one();
  void refuse(const Error& error);
  std::string head_text(int status, const std::vector<Field>& headers);
  void become(Phase phase, StreamEvents& events);

  Connection& connection_;
  StreamEvents* events_ = nullptr;
  std::unique_ptr<Reading> reading_;
  Phase phase_ = Phase::reading;
  bool serving_ = false;
  bool serve_posted_ = false;
  bool input_held_ = false;
  std::uint32_t kept_ = 0;  // as keep() was told; a lease would cost each idle connection 16 bytes more
};

}  // namespace belfry::net
