#pragma once
// The client's end of TLS for tests, without a socket: OpenSSL over memory. It can do what a decent client
// would not: go on after a close_notify, ask to renegotiate, update its keys.

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/base.h"

namespace belfry::net {

class TlsPeer {
 public:
  // `protocols` as ALPN writes them ("\x02h2"); empty: none. `version`: the only one that is offered.
  explicit TlsPeer(std::string_view protocols, int version = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    if (!protocols.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  // Takes what the server sent; what it said under TLS is added to heard().
  void take(std::string_view ciphertext) {
    if (!ciphertext.empty())
      BIO_write(SSL_get_rbio(ssl_.get()), ciphertext.data(), static_cast<int>(ciphertext.size()));
    if (!done_) done_ = SSL_do_handshake(ssl_.get()) == 1;
    char buffer[16384];
    for (int got; done_ && (got = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0;)
      heard_.append(buffer, static_cast<std::size_t>(got));
  }
  // What is to be sent to the server.
  std::string give() {
    std::string out;
    char buffer[16384];
    for (int got; (got = BIO_read(SSL_get_wbio(ssl_.get()), buffer, sizeof buffer)) > 0;)
      out.append(buffer, static_cast<std::size_t>(got));
    return out;
  }

  bool done() const { return done_; }
  const std::string& heard() const { return heard_; }
  void write(std::string_view plaintext) {
    if (done_ && !plaintext.empty())
      SSL_write(ssl_.get(), plaintext.data(), static_cast<int>(plaintext.size()));
  }
  void close_notify() { SSL_shutdown(ssl_.get()); }
  // TLS 1.2: a ClientHello in mid-connection.
  void renegotiate() {
    if (done_ && SSL_renegotiate(ssl_.get()) == 1) SSL_do_handshake(ssl_.get());
  }
  // TLS 1.3; the server is asked for its own.
  void update_keys() {
    if (done_ && SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1) SSL_do_handshake(ssl_.get());
  }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::string heard_;
  bool done_ = false;
};

}  // namespace belfry::net
