#pragma once
// One accepted socket: its bytes in and out, with or without TLS, its deadline and its end. What the bytes
// mean is the protocol's business: HTTP/1.1 unless the client chooses HTTP/2, by ALPN or by its preface.
//
// Owner:  HttpServer, by slot. Thread: the loop's.
// Bound:  an idle connection holds this object and, with TLS, its state: buffers belong to the loop. What
//         the client has not taken is counted, here and for all connections (ConnectionBudget): one piece of
//         a write, one answer or one burst of HTTP/2, and limits::control_bytes_max. Over
//         limits::unread_bytes_max nothing is read that would make more of it.
// Always: deleted by its server only when dead and no operation is pending; its protocol is chosen once;
//         whoever holds an exchange hears on_closed, however it ends; an exception ends the connection, not
//         the process.

#include <boost/asio/post.hpp>
#include <memory>
#include <string>

#include "net/byte_queue.h"
#include "net/http1.h"
#include "net/http_server.h"
#include "net/reactor.h"
#include "net/tls.h"

namespace belfry::net {

class Connection;
class Http2;

// What a connection needs from its server.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void request_ready(Exchange& exchange) = 0;
  virtual void remove(std::uint32_t slot) = 0;
  // Calls Connection::flush once, in a later turn. The connection waits for it until then.
  virtual void flush_later(Connection& connection) = 0;
  virtual void set_deadline(std::uint32_t slot, Instant deadline) = 0;
  virtual Instant now() const = 0;
  virtual LoopBuffers& buffers() = 0;  // shared by all connections of the loop
  virtual Reactor& reactor() = 0;
  virtual std::string_view date() = 0;
  virtual void count_sent(std::size_t bytes) = 0;
  virtual bool accepting() const = 0;
  virtual const HttpServerOptions& options() const = 0;
};

class Connection final : private Reactor::Watcher {
 public:
  // The descriptor is the connection's from here on; it does not block.
  Connection(ConnectionOwner& owner, int descriptor, std::uint32_t slot);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start(const TlsContext& tls);
  // The deadline has passed.
  void time_out();
  // No more requests: closes at once if it waits between two.
  void drain();
  // Bytes that it holds for its client, if they are too much now (ConnectionBudget); or 0.
  std::size_t holds_too_much() const;
  // Ends it for that, with a word in the log. REQUIRES: nothing of it is on the stack.
  void let_go();
  // What flush_later asked for.
  void flush();

  // For the protocols:

  // Writes what the socket takes now, in one system call. What of the last taken piece did not fit is held.
  Taken write(std::span<const std::string_view> pieces);
  // Takes all of it; what does not fit is held, behind what is held already. Ends the connection if that is
  // more than the budget of all connections has for it.
  void send(std::string_view bytes);
  // Bytes that must not be lost behind a full socket, up to limits::control_bytes_max; false beyond that.
  bool send_control(std::string_view bytes);
  bool blocked() const { return blocked_; }
  // Bytes of send_control that are held back.
  std::size_t control_held() const { return control_held_; }
  // Bytes that are held back.
  std::size_t unread() const { return rest_ ? rest_->bytes.size() : 0; }
  bool ended() const { return dead_ || finishing_; }

  // While blocked, the deadline is that of the write.
  void set_deadline(Duration from_now);
  void clear_deadline();
  // Reads on, after the protocol did not want more.
  void wait_read();
  // The kernel, too, is to hold no backlog (TCP_NOTSENT_LOWAT).
  void limit_backlog();
  // Ends it once what is held back has gone out, and the peer has had a moment to read it.
  void finish();
  void die();
  // Runs the function from the loop, unless the connection has died meanwhile.
  template <class Function>
  void later(Function function);
  // The same for Http2::on_flush: after a broadcast very many want it, so they share what the loop does.
  void flush_later();
  // The client's address, without port; what a PROXY header says counts.
  std::string peer() const;
  // Whom the request is from, and whether it came over TLS.
  void tell_client(Request& request) const;
  ConnectionOwner& owner() { return owner_; }

 private:
  // What an idle stream over HTTP/1.1 in clear text has no need of.
  struct More {
    std::unique_ptr<Tls> tls;
    std::unique_ptr<Http2> http2;  // once it was chosen
    std::string early;      // bytes that are too few yet to choose a protocol by
    std::string announced;  // the client's address, as a trusted proxy told it
  };
  // What was taken, but not yet by the socket.
  struct Rest {
    explicit Rest(ConnectionBudget* budget) : held(budget, ConnectionBudget::Bytes::answers) {}
    ByteQueue bytes;
    BytesLease held;
  };
  More& more();
  Tls* tls() const { return more_ ? more_->tls.get() : nullptr; }

  // What is expected of the client next. It only ever moves on, so a protocol is chosen once.
  enum class Stage : std::uint8_t { proxy_header, handshake, preface, speaking };

  void on_events(Reactor::Events events) override;
  void read_now();
  void on_readable();
  void read_on();
  void open(std::string_view bytes);
  bool open_proxy(std::string_view& bytes);
  void take(std::string_view bytes);
  void take_encrypted(std::string_view bytes);
  bool shake_hands();
  // REQUIRES: nothing is spoken yet.
  void speak_http1();
  void speak_http2();
  void wait_write();
  void on_flushed();
  void block();
  void linger();
  // Sends what the socket takes; -1 when the peer is gone.
  ssize_t send_now(std::span<const std::string_view> pieces);
  ssize_t send_bytes(std::string_view bytes);
  ssize_t send_gathered(std::span<const std::string_view> pieces);
  Taken write_plain(std::span<const std::string_view> pieces);
  Taken write_encrypted(std::span<const std::string_view> pieces);
  void send_or_hold(std::string_view bytes);
  void hold(std::string_view bytes);
  void send_encrypted();
  template <class Function>
  void guarded(Function function);
  void done_with_operation();

  // What every write looks at stands together, around the beginning of http1_.
  std::unique_ptr<Rest> rest_;
  std::uint32_t control_held_ = 0;
  std::uint16_t operations_ = 0;  // posted
  Stage stage_ = Stage::preface;
  bool readable_ = false;  // there may be something: its edge came, and it was not read to its end
  bool peer_ended_ = false;
  bool read_waiting_ = false;
  bool write_waiting_ = false;
  bool blocked_ = false;
  bool dead_ = false;
  bool finishing_ = false;
  int descriptor_;  // -1: closed
  const std::uint32_t slot_;
  ConnectionOwner& owner_;
  std::unique_ptr<More> more_;
  Http1 http1_;
  Protocol* protocol_;
};

template <class Function>
void Connection::later(Function function) {
  ++operations_;
  boost::asio::post(owner_.reactor().context(), [this, function = std::move(function)]() mutable {
    guarded(function);
    done_with_operation();
  });
}

template <class Function>
void Connection::guarded(Function function) {
  if (dead_) return;
  try {
    function();
  } catch (const std::exception& exception) {
    log_error("connection", {{"exception", exception.what()}});
    die();
  }
}

}  // namespace belfry::net
