#pragma once
// The doors in: the table of routes, who may pass, and what each does.
//
// Route:  net/http_server -> Api::on_request -> (publish, mark) Desk, (read) FeedPort, (listen)
//         delivery/streams.
// Owner:  server, one Api per shard thread. Thread: the shard's.
// Bound:  requests that wait for another thread: limits::mailbox_publishes_max, mailbox_pages_max.
// Always: one function decides rights (model/rights); every refusal has the catalogue's form; what changes
//         something is answered 2xx only after its commit.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/keyring.h"
#include "api/ticket.h"
#include "api/ticket_book.h"
#include "api/token.h"
#include "delivery/delivery.h"
#include "feed/feed.h"
#include "ingest/ingest.h"
#include "log/log.h"
#include "net/net.h"

namespace belfry {

// What is asked of a store-reader.
struct FeedJob {
  FeedQuestion question;
  bool user_only = false;  // what is kept of the user, no page
};
struct FeedReply {
  FeedAnswer answer;
  UserRows user;  // with user_only
};

// Takes feed questions to the store-readers. The reply comes back to Api::on_feed with the same ticket.
class FeedPort {
 public:
  virtual ~FeedPort() = default;
  // False: no room.
  virtual bool ask_feed(FeedJob job, std::uint64_t ticket) = 0;
  // On every shard: the stream that was opened with this ticket goes on under the principal.
  virtual void renew_ticket(std::uint64_t ticket, const Principal& principal) = 0;
  // On every other shard: that stream ends, because it is opened here.
  virtual void end_ticket_elsewhere(std::uint64_t ticket) = 0;
};

// What the routes of sources ask. Thread: any.
class SourcePort {
 public:
  virtual ~SourcePort() = default;
  virtual std::vector<ingest::SourceStatus> status() const = 0;
  // Lives as long as the server; null: there is none of that name.
  virtual const ingest::Webhook* webhook(std::string_view name) const = 0;
  // Code::not_found.
  virtual Result<void> reset(std::string_view name) = 0;
};

struct ApiOptions {
  std::vector<std::string> allowed_origins;  // exact; other web origins get no CORS headers
  bool dev = false;                          // serve the page at `/`; pages of this machine may come in
  std::string cookie;                        // name of one that may carry the token; empty: none
  std::string ticket_secret;
  std::vector<std::string> presence;  // patterns of the topics that keep it
  net::Networks free_addresses{};     // whose streams are not counted by address: loopback, trusted proxies
};

struct ApiParts {
  const Keyring& keyring;
  Streams& streams;
  Desk& desk;
  Admission& admission;
  FeedPort& feed;
  SourcePort& sources;
  TicketBook& tickets;
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
  void on_feed(std::uint64_t ticket, const Result<FeedReply>& reply);
  void set_allowed_origins(std::vector<std::string> origins) {
    options_.allowed_origins = std::move(origins);
  }

 private:
  struct Route;
  class Waiting;
  using Arguments = std::vector<std::string>;  // of the path
  static const std::vector<Route>& routes();

  void get_events(net::Exchange& exchange, const Arguments&);
  void post_events(net::Exchange& exchange, const Arguments&);
  void delete_event(net::Exchange& exchange, const Arguments& arguments);
  void delete_scheduled(net::Exchange& exchange, const Arguments& arguments);
  void get_feed(net::Exchange& exchange, const Arguments&);
  void post_marks(net::Exchange& exchange, const Arguments&);
  void get_mutes(net::Exchange& exchange, const Arguments&);
  void put_mutes(net::Exchange& exchange, const Arguments&);
  void get_follows(net::Exchange& exchange, const Arguments& arguments);
  void put_follow(net::Exchange& exchange, const Arguments& arguments);
  void delete_follow(net::Exchange& exchange, const Arguments& arguments);
  void delete_user(net::Exchange& exchange, const Arguments& arguments);
  void get_presence(net::Exchange& exchange, const Arguments&);
  void post_tickets(net::Exchange& exchange, const Arguments&);
  void get_sources(net::Exchange& exchange, const Arguments&);
  void post_source(net::Exchange& exchange, const Arguments& arguments);
  void post_reset(net::Exchange& exchange, const Arguments& arguments);
  void post_revocations(net::Exchange& exchange, const Arguments&);
  void get_health(net::Exchange& exchange, const Arguments&);
  void get_ready(net::Exchange& exchange, const Arguments&);
  void get_metrics(net::Exchange& exchange, const Arguments&);
  void get_page(net::Exchange& exchange, const Arguments&);
  void get_diagnose(net::Exchange& exchange, const Arguments&);
  void get_sdk(net::Exchange& exchange, const Arguments& arguments);

  void take_webhook(net::Exchange& exchange, const ingest::Webhook& webhook);
  void preflight(net::Exchange& exchange, const std::string& methods, bool any_origin);
  void refuse(net::Exchange& exchange, const Error& error);
  void reply(net::Exchange& exchange, net::Response response);
  std::vector<net::Field> cors(const net::Request& request) const;

  Result<Principal> principal_of(const net::Request& request) const;
  Result<void> guard_cookie(const net::Request& request) const;
  bool is_allowed(std::string_view origin) const;
  Result<Ticket> ticket_of(const net::Request& request) const;
  void keep_ticket(const Ticket& ticket);
  // The user whose feed is meant: the token's, or for a backend the one that it names.
  Result<std::string> feed_user(const net::Request& request) const;
  // Its name; Code::forbidden for a user.
  Result<std::string> need_backend(const net::Request& request) const;
  Result<PublishRequest> publish_request(const net::Request& request) const;
  Result<FeedQuestion> feed_question(const net::Request& request) const;

  // Takes it to the log-writer; the answer is formed when it comes back.
  void submit(net::Exchange& exchange, PublishRequest request,
              std::function<net::Response(const Published&)> form);
  void submit_follow(net::Exchange& exchange, const Arguments& arguments, bool follow);
  void ask(net::Exchange& exchange, FeedJob job, std::function<net::Response(const FeedReply&)> form);
  struct Asker {
    Principal principal;
    std::optional<Ticket> ticket;
  };
  Result<Asker> asker_of(const net::Request& request, Wish& wish);
  void listen(net::Exchange& exchange);
  void open_websocket(net::Exchange& exchange);
  // The address that its streams are counted under; empty: none.
  std::string counted_address(const net::Request& request) const;
  // A stream that cannot be had now, in the form that its client understands.
  void turn_away(net::Exchange& exchange, const Error& error);
  void open_stream(net::Exchange& exchange, Attach attach, std::string_view since,
                   const std::optional<Ticket>& ticket);

  ApiParts parts_;
  ApiOptions options_;
  std::uint64_t last_ticket_ = 0;  // of feed questions; the desk gives its own
  std::map<Waiting*, std::unique_ptr<Waiting>> waiting_;
  std::map<std::uint64_t, Waiting*> asking_;
};

}  // namespace belfry
