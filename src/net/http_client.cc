#include "net/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/freed.h"
#include "base/tcp.h"
#include "net/http_parser.h"

namespace belfry::net {
namespace {

// A connection, with TLS or without.
class Connected {
 public:
  Connected(Descriptor socket, Duration timeout) : socket_(std::move(socket)), timeout_(timeout) {}

  // Shakes hands with a server whose certificate is good for the host.
  Result<void> encrypt(const std::string& host, const std::string& ca_file) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_default_verify_paths(context);
    if (!ca_file.empty()) SSL_CTX_load_verify_file(context, ca_file.c_str());
    tls_.reset(SSL_new(context));
    SSL_CTX_free(context);
    unsigned char raw[16];
    const bool literal =
        ::inet_pton(AF_INET, host.c_str(), raw) == 1 || ::inet_pton(AF_INET6, host.c_str(), raw) == 1;
    if (literal) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), host.c_str());
    } else {
      SSL_set1_host(tls_.get(), host.c_str());
      SSL_set_tlsext_host_name(tls_.get(), host.c_str());
    }
    const timeval limit{timeout_.count() / 1000, timeout_.count() % 1000 * 1000};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    SSL_set_fd(tls_.get(), socket_.get());
    ERR_clear_error();
    if (SSL_connect(tls_.get()) == 1) return {};
    const long verified = SSL_get_verify_result(tls_.get());
    if (verified != X509_V_OK)
      return fail(Code::connection_failed, "The certificate is not trusted: " +
                                               std::string(X509_verify_cert_error_string(verified)) + ".");
    return fail(Code::connection_failed, "The TLS handshake failed. Does the server speak TLS?");
  }

  Result<void> wait(short events) const {
    pollfd waiting{socket_.get(), events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(timeout_.count()));
    if (ready == 0) return fail(Code::connection_failed, "The server did not answer in time.");
    if (ready < 0) return fail(Code::connection_failed, std::strerror(errno));
    return {};
  }

  Result<void> send_all(std::string_view bytes) const {
    if (tls_ != nullptr && !bytes.empty()) {
      if (SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0) return {};
      return fail(Code::connection_failed, "The connection broke.");
    }
    while (!bytes.empty()) {
      TRY(wait(POLLOUT));
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return fail(Code::connection_failed, std::strerror(errno));
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
  }

  // Empty: the peer has closed.
  Result<std::string> receive() const {
    std::string bytes(16 * 1024, '\0');
    if (tls_ != nullptr) {
      const int read = SSL_read(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (read <= 0 && SSL_get_error(tls_.get(), read) != SSL_ERROR_ZERO_RETURN)
        return fail(Code::connection_failed, "The server did not answer in time, or the connection broke.");
      bytes.resize(static_cast<std::size_t>(std::max(read, 0)));
      return bytes;
    }
    TRY(wait(POLLIN));
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0) return fail(Code::connection_failed, std::strerror(errno));
    bytes.resize(static_cast<std::size_t>(got));
    return bytes;
  }

 private:
  Descriptor socket_;
  std::unique_ptr<SSL, Freed<SSL_free>> tls_;
  Duration timeout_;
};

struct Address {
  bool secure = false;
  std::string host, port, target;
};

Result<Address> parse_url(const std::string& url) {
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || (parsed->scheme() != "http" && parsed->scheme() != "https") || parsed->host().empty())
    return fail(Code::bad_parameter, "Not a URL of the form http://host:port: " + url, "url");
  Address address;
  address.secure = parsed->scheme() == "https";
  address.host = std::string(parsed->encoded_host());
  if (address.host.size() > 2 && address.host.front() == '[')
    address.host = address.host.substr(1, address.host.size() - 2);
  address.port = parsed->has_port() ? std::string(parsed->port()) : address.secure ? "443" : "80";
  address.target = std::string(parsed->encoded_path());
  if (address.target.empty()) address.target = "/";
  if (parsed->has_query()) address.target += "?" + std::string(parsed->encoded_query());
  return address;
}

Result<Connected> connect(const Address& address, Duration timeout) {
  const auto writable = [timeout](int socket) {
    pollfd waiting{socket, POLLOUT, 0};
    return ::poll(&waiting, 1, static_cast<int>(timeout.count())) > 0;
  };
  Descriptor socket = TRY(connect_tcp(address.host, address.port, writable));
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return Connected(std::move(socket), timeout);
}

std::string request_text(const ClientRequest& request, const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  std::string text = request.method + " " + address.target + " HTTP/1.1\r\nHost: ";
  text += (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port + "\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
  if (!request.body.empty() || request.method == "POST")
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

}  // namespace

Result<void> fetch_stream(const ClientRequest& request, const StreamSink& sink) {
  const Address address = TRY(parse_url(request.url));
  Connected connection = TRY(connect(address, request.timeout));
  if (address.secure) TRY(connection.encrypt(address.host, request.ca_file));
  TRY(connection.send_all(request_text(request, address)));
  ResponseParser parser;
  std::string input;
  bool head_given = false;
  for (;;) {
    const std::string bytes = TRY(connection.receive());
    input += bytes;
    while (!input.empty() && !parser.done()) {
      const std::size_t used = TRY(parser.feed(input));
      input.erase(0, used);
      if (used == 0) break;
    }
    if (parser.head_done() && !std::exchange(head_given, head_given || parser.head_done()))
      sink.on_head(parser.head());
    if (const std::string body = parser.take_body(); !body.empty() && !sink.on_bytes(body)) return {};
    if (parser.done()) return {};
    if (!bytes.empty()) continue;
    if (!parser.finish())
      return fail(Code::connection_failed, "The connection was closed in the middle of the answer.");
    return {};
  }
}

Result<Response> fetch(const ClientRequest& request) {
  Response response;
  TRY(fetch_stream(request, {[&](const Response& head) { response = head; },
                             [&](std::string_view bytes) {
                               response.body += bytes;
                               return true;
                             }}));
  return response;
}

}  // namespace belfry::net
