#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "net/openssl.h"

namespace belfry::net {

// The pipe between OpenSSL and the loop's buffers.
struct TlsPipe {
  static int read(BIO* bio, char* into, int size) {
    auto& input = static_cast<Tls*>(BIO_get_data(bio))->input_;
    BIO_clear_retry_flags(bio);
    if (input.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const std::size_t count = std::min(input.size(), static_cast<std::size_t>(size));
    input.copy(into, count);
    input.remove_prefix(count);
    return static_cast<int>(count);
  }
  static int write(BIO* bio, const char* bytes, int size) {
    static_cast<Tls*>(BIO_get_data(bio))->buffers_.ciphertext.append(bytes, static_cast<std::size_t>(size));
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  // Made once; OpenSSL has no way to free it at the right moment.
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "belfry");
      BIO_meth_set_read(fresh, read);
      BIO_meth_set_write(fresh, write);
      BIO_meth_set_ctrl(fresh, control);
      BIO_meth_set_create(fresh, create);
      return fresh;
    }();
    return made;
  }
};

namespace {

constexpr std::size_t kTicketKeyBytes = 80;  // name, HMAC key and AES key together (OpenSSL 3)

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "it cannot be read" : reason;
}

// RFC 7301; `h2` first (RFC 9113 section 3.2). A client that offers neither is refused, one that offers
// nothing speaks HTTP/1.1.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned offered_length, void*) {
  static constexpr unsigned char kOurs[] = "\x02h2\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, length, kOurs, sizeof kOurs - 1, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

Result<void> use_chain(SSL_CTX* context, std::string_view chain) {
  const BioPtr bio(BIO_new_mem_buf(chain.data(), static_cast<int>(chain.size())));
  const CertificatePtr leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return fail(Code::config_invalid, "The certificate is no PEM certificate: " + openssl_reason() + ".");
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const CertificatePtr of_chain(next);
    SSL_CTX_add1_chain_cert(context, next);
  }
  ERR_clear_error();  // the end of the text
  return {};
}

Result<void> use_key(SSL_CTX* context, std::string_view text) {
  const BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // Without the callback OpenSSL would ask the terminal for a pass phrase.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_phrase, nullptr));
  if (!key) return fail(Code::config_invalid, "The key is no PEM key: " + openssl_reason() + ".");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return fail(Code::config_invalid, "The key is not that of the certificate: " + openssl_reason() + ".");
  return {};
}

}  // namespace

TlsContext::TlsContext(const TlsContext& other) : context_(other.context_) {
  if (context_ != nullptr) SSL_CTX_up_ref(context_);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<TlsContext> TlsContext::from_pem(std::string_view chain, std::string_view key) {
  TlsContext made(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = made.context_;
  CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context,
                                 SSL_SESS_CACHE_OFF);  // the client keeps the session, in its ticket
  static constexpr unsigned char kName[] = "belfry";
  SSL_CTX_set_session_id_context(context, kName, sizeof kName - 1);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  ERR_clear_error();
  TRY(use_chain(context, chain));
  TRY(use_key(context, key));
  return made;
}

void TlsContext::take_tickets_of(const TlsContext& other) {
  unsigned char keys[kTicketKeyBytes];
  CHECK(SSL_CTX_get_tlsext_ticket_keys(other.context_, keys, sizeof keys) == 1);
  CHECK(SSL_CTX_set_tlsext_ticket_keys(context_, keys, sizeof keys) == 1);
  OPENSSL_cleanse(keys, sizeof keys);
}

Tls::Tls(const TlsContext& context, LoopBuffers& buffers)
    : ssl_(SSL_new(context.native())), buffers_(buffers) {
  CHECK(ssl_ != nullptr);
  BIO* bio = BIO_new(TlsPipe::method());
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

Tls::~Tls() { SSL_free(ssl_); }

void Tls::shake_hands() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1) {
    handshake_ = Handshake::done;
  } else if (SSL_get_error(ssl_, done) != SSL_ERROR_WANT_READ) {
    input_state_ = Input::failed;
  }
}

std::string_view Tls::read() {
  constexpr std::size_t kRecordBytes = 16 * 1024;  // RFC 8446 section 5.1
  if (input_state_ != Input::open) return {};
  std::string& plaintext = buffers_.plaintext;
  std::size_t filled = 0;
  int got = 1;
  while (got > 0 && plaintext.size() - filled >= kRecordBytes) {
    ERR_clear_error();
    got = SSL_read(ssl_, plaintext.data() + filled, static_cast<int>(plaintext.size() - filled));
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  // What stopped it is met again by the next call.
  if (filled > 0) return {plaintext.data(), filled};
  const int reason = SSL_get_error(ssl_, got);
  if (reason == SSL_ERROR_ZERO_RETURN) {
    input_state_ = Input::closed;
  } else if (reason != SSL_ERROR_WANT_READ) {
    input_state_ = Input::failed;
  }
  return {};
}

void Tls::write(std::string_view plaintext) {
  ERR_clear_error();
  if (plaintext.empty() || input_state_ == Input::failed) return;
  // The pipe takes everything, so that OpenSSL never has to be asked again with the same bytes.
  if (SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size())) <= 0)
    input_state_ = Input::failed;
}

void Tls::close() {
  if (handshake_ != Handshake::done || input_state_ == Input::failed) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

bool Tls::chose_http2() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_, &name, &length);
  return std::string_view(reinterpret_cast<const char*>(name), length) == "h2";
}

}  // namespace belfry::net
