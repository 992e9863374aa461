#pragma once
// The language spoken on a connection. Implemented by Http1 and Http2; a part of the connection, on its
// thread.

#include <cstddef>
#include <string_view>

namespace belfry::net {

class Protocol {
 public:
  virtual ~Protocol() = default;
  // Bytes from the client; the view is valid during the call.
  virtual void take(std::string_view bytes) = 0;
  // False: nothing is to be read until Connection::wait_read.
  virtual bool wants_more() const = 0;
  // The client has said that it will send no more, and may still listen (a TLS close_notify).
  virtual void on_input_closed() = 0;
  // What was held back has gone out.
  virtual void on_room() = 0;
  // The deadline that it set has passed.
  virtual void time_out() = 0;
  // The server takes no more requests.
  virtual void drain() = 0;
  // The connection is gone; nothing may be written any more. Whoever holds an exchange hears so.
  virtual void on_dead() = 0;
  // Bytes that it holds for its client, if they are too much now (ConnectionBudget); or 0.
  virtual std::size_t holds_too_much() const = 0;
};

}  // namespace belfry::net
