#pragma once
// TLS 1.2 and 1.3 (RFC 5246, RFC 8446) by OpenSSL, without a socket: bytes go through memory, and the
// memory belongs to the loop. An idle connection keeps the state of OpenSSL alone
// (SSL_MODE_RELEASE_BUFFERS).
//
// Owner:  the connection; TlsContext: the server, and whoever else holds a copy. Thread: the loop's; a
// TlsContext any. Always: a connection keeps the certificate with which it began.

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/base.h"

namespace belfry::net {

// What connections of one loop use one after the other.
struct LoopBuffers {
  std::string read = std::string(64 * 1024, '\0');       // from the socket
  // Of what was read: its records, and one that had begun before.
  std::string plaintext = std::string(96 * 1024, '\0');
  std::string gathered;                                  // pieces of one record to be
  std::string ciphertext;                                // what OpenSSL wrote
  std::string frames;                                    // of HTTP/2, on their way to the socket
};

// A certificate with its key, and what is negotiated: ALPN `h2` and `http/1.1`, session tickets, no
// compression, no renegotiation. Copies share it.
class TlsContext {
 public:
  TlsContext() = default;
  TlsContext(const TlsContext& other);
  TlsContext(TlsContext&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  TlsContext& operator=(TlsContext other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }
  ~TlsContext();

  // The chain and its key, as PEM. Code::config_invalid with OpenSSL's reason if they do not fit.
  static Result<TlsContext> from_pem(std::string_view chain, std::string_view key);
  // Tickets that the other one gave are still good here.
  void take_tickets_of(const TlsContext& other);

  explicit operator bool() const { return context_ != nullptr; }
  SSL_CTX* native() const { return context_; }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_ = nullptr;
};

// The server's end of one connection.
class Tls {
 public:
  Tls(const TlsContext& context, LoopBuffers& buffers);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // The handshake happens once; what the client may still send is another matter, and only ever becomes
  // less (RFC 8446 section 6.1: whatever follows a close_notify is ignored).
  enum class Handshake : std::uint8_t { going_on, done };
  enum class Input : std::uint8_t { open, closed, failed };
  // What came from the socket; to be taken by shake_hands and read before the next is given.
  void feed(std::string_view ciphertext) { input_ = ciphertext; }
  // REQUIRES: handshake() is going on. Goes on with it; input() says whether it failed. What it has to say
  // lies in buffers.ciphertext, also when it failed.
  void shake_hands();
  Handshake handshake() const { return handshake_; }
  // The next bytes, of as many records as there are, valid until the next call; empty: no more for now, or
  // input() says closed or failed. What OpenSSL has to say by itself lies in buffers.ciphertext.
  std::string_view read();
  Input input() const { return input_state_; }
  // Encrypts behind what lies in buffers.ciphertext.
  void write(std::string_view plaintext);
  // Says that no more comes (close_notify).
  void close();
  bool chose_http2() const;

 private:
  friend struct TlsPipe;
  SSL* ssl_;
  LoopBuffers& buffers_;
  std::string_view input_;
  Handshake handshake_ = Handshake::going_on;
  Input input_state_ = Input::open;
};

}  // namespace belfry::net
