#pragma once
// Listens on one address and speaks HTTP/1.1 or HTTP/2, over TLS or not, with whoever connects.
//
// Owner:  server, one per shard; several listen on one port by SO_REUSEPORT. Thread: the loop's.
// Bound:  the budget; beyond it connections are closed at accept. Heads, bodies and waiting times:
// base/limits.h. Always: a peer that leaves is noticed, by a read or, while it takes nothing, by a write; an
// exception never leaves a
//         connection; a connection is deleted only when no operation of it is pending; whoever holds an
//         exchange hears on_closed, also when the server goes first.

#include <cstdint>
#include <memory>
#include <string>

#include "net/client_address.h"
#include "net/connection_budget.h"
#include "net/exchange.h"
#include "net/loop.h"
#include "net/tls.h"

namespace belfry::net {

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;              // 0: the kernel chooses; see port()
  ConnectionBudget* budget = nullptr;  // null: no bound but the descriptors; outlives the server
  TlsContext tls{};                    // none: plain text
  std::vector<Field> headers{};        // of every answer
  Networks trusted_proxies{};          // whose word about the client counts
  Networks free_addresses{};           // which the budget does not count by address
  bool proxy_protocol = false;         // every connection comes from one of them and begins with its header
  Duration look_around{1000};          // how often deadlines are looked at
  ForwardedHeader forwarded = ForwardedHeader::x_forwarded_for;
};

struct HttpServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // beyond the budget, or no descriptor
  std::uint64_t requests = 0;
  std::uint64_t bytes_sent = 0;
};

class HttpServer {
 public:
  // Code::connection_failed with the reason if the address cannot be bound.
  static Result<std::unique_ptr<HttpServer>> listen(Loop& loop, const Clock& clock,
                                                    HttpServerOptions options, Handler& handler);
  // Whether nobody else listens there. Needed, because servers that share a port by SO_REUSEPORT do so
  // without a word.
  static Result<void> check_free(const std::string& address, std::uint16_t port);
  virtual ~HttpServer() = default;

  virtual std::uint16_t port() const = 0;
  virtual std::size_t connections() const = 0;
  virtual const HttpServerCounts& counts() const = 0;
  // Connections that begin from now on use it. The loop's thread.
  virtual void set_tls(TlsContext tls) = 0;
  // Connections wait in the kernel's queue meanwhile; each call with `true` lets in one batch.
  virtual void pause_accepting(bool pause) = 0;
  // No new connections; those that wait between requests are closed.
  virtual void stop_accepting() = 0;
};

}  // namespace belfry::net
