#pragma once
// The doors in: the table of routes, who may pass, and what each does.
//
// Route:  net/http_server -> Api::on_request -> (publish) PublishPort, or (listen) delivery/streams.
// Owner:  server, one Api per shard thread. Thread: the shard's.
// Bound:  publish requests that wait for their commit: limits::mailbox_publishes_max over all shards.
// Always: one function decides rights (model/rights); every refusal has the catalogue's form; a publish is
// answered
//         2xx only by on_published.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/keyring.h"
#include "api/token.h"
#include "delivery/delivery.h"
#include "log/log.h"
#include "net/net.h"

namespace belfry {

// Takes publish requests to the log-writer. The answer comes back to Api::on_published with the same
// ticket.
class PublishPort {
 public:
  virtual ~PublishPort() = default;
  // False: no room.
  virtual bool submit(PublishRequest request, std::uint64_t ticket) = 0;
};

struct ApiOptions {
  std::vector<std::string> allowed_origins;  // exact; other web origins get no CORS headers
  bool dev_page = false;                     // serve the page at `/`
};

struct ApiParts {
  const Keyring& keyring;
  Streams& streams;
  PublishPort& publish;
  const Tail& tail;
  const EpochTable& epochs;
  const Clock& clock;
  const Metrics& metrics;
  const std::atomic<bool>& ready;  // false while starting, stopping, or after the store failed
};

class Api final : public net::Handler {
 public:
  Api(ApiParts parts, ApiOptions options);
  ~Api() override;

  void on_request(net::Exchange& exchange) override;
  void on_published(std::uint64_t ticket, PublishOutcome outcome);

 private:
  struct Route;
  struct Waiting;
  static const std::vector<Route>& routes();

  void dispatch(net::Exchange& exchange, const Route& route);
  void post_events(net::Exchange& exchange);
  void get_events(net::Exchange& exchange);
  void get_health(net::Exchange& exchange);
  void get_ready(net::Exchange& exchange);
  void get_metrics(net::Exchange& exchange);
  void get_page(net::Exchange& exchange);
  void preflight(net::Exchange& exchange, const Route& route);
  void refuse(net::Exchange& exchange, const Error& error);
  void reply(net::Exchange& exchange, net::Response response);
  Result<Principal> principal_of(const net::Request& request) const;
  Result<PublishRequest> publish_request(const net::Request& request) const;
  std::vector<net::Field> cors(const net::Request& request) const;
  void open_stream(net::Exchange& exchange, Attach attach, std::string_view since);

  ApiParts parts_;
  ApiOptions options_;
  std::uint64_t next_ticket_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Waiting>> waiting_;  // publishers, by ticket
};

}  // namespace belfry
