#pragma once
// One accepted socket speaking HTTP/1.1: reads requests, gives them to the handler, writes answers and
// streams.
//
// Owner:  HttpServer, by slot. Thread: the loop's.
// Bound:  an idle stream holds this object, one waiting read and nothing else: parser, request and buffers
// exist only
//         while a request is being read or answered.
// Always: deleted only when dead and no operation is pending; StreamEvents are never called from inside a
// call of
//         the owner.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "net/http_parser.h"
#include "net/http_server.h"

namespace belfry::net {

class HttpConnection;

// What a connection needs from its server.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void request_ready(Exchange& exchange) = 0;
  virtual void remove(std::uint32_t slot) = 0;
  virtual void set_deadline(std::uint32_t slot, Instant deadline) = 0;
  virtual Instant now() const = 0;
  virtual std::string& read_buffer() = 0;  // shared by all connections of the loop
  virtual std::string_view date() = 0;
  virtual void count_sent(std::size_t bytes) = 0;
  virtual bool accepting() const = 0;
};

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

class HttpConnection final : public Exchange {
 public:
  HttpConnection(ConnectionOwner& owner, Socket socket, std::uint32_t slot);

  void start();
  // The deadline has passed.
  void time_out();
  // Closes at once if it waits between two requests.
  void close_if_idle();

  const Request& request() const override;
  void respond(Response response) override;
  void defer(StreamEvents& events) override { events_ = &events; }
  void begin(int status, const std::vector<Field>& headers, StreamEvents& events) override;
  void upgrade(const std::vector<Field>& headers, StreamEvents& events) override;
  Taken write(std::span<const std::string_view> pieces) override;
  bool write_control(std::string_view bytes) override;
  void close() override;

 private:
  enum class Phase : std::uint8_t { reading, answering, stream, upgraded, closing };

  // What exists only around a request.
  struct Reading {
    RequestParser parser;
    std::string input;
    Request request;
    bool continue_sent = false;
    bool keep_alive = true;
    bool head_only = false;
    bool answered = false;
  };

  void wait_read();
  void wait_write();
  void on_readable();
  void take_bytes(std::string_view bytes);
  void serve();
  Result<bool> parse_one();
  void refuse(const Error& error);
  std::string head_text(int status, const std::vector<Field>& headers);
  void become(Phase phase, StreamEvents& events);
  // Sends what the socket takes; -1 when the peer is gone.
  ssize_t send_now(std::span<const std::string_view> pieces);
  ssize_t send_gathered(std::span<const std::string_view> pieces);
  void send_or_hold(std::string bytes);
  void on_flushed();
  void block();
  void linger();
  template <class Function>
  void later(Function function);
  void die();
  void done_with_operation();
  void update_deadline(Duration from_now);

  ConnectionOwner& owner_;
  Socket socket_;
  StreamEvents* events_ = nullptr;
  std::unique_ptr<Reading> reading_;
  std::string rest_;  // accepted from the owner, not yet taken by the socket
  const std::uint32_t slot_;
  std::uint32_t control_held_ = 0;
  std::uint16_t operations_ = 0;  // pending, with posted ones
  Phase phase_ = Phase::reading;
  bool read_waiting_ = false;
  bool write_waiting_ = false;
  bool blocked_ = false;
  bool dead_ = false;
  bool serving_ = false;
};

}  // namespace belfry::net
