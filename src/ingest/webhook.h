#pragma once
// Events that others send over HTTP: CloudEvents (HTTP binding 1.0.2 with the abuse protection of the
// webhook specification 1.0.2), Azure Event Grid, and webhooks signed with HMAC-SHA256 (Standard Webhooks,
// Stripe, GitHub, Slack).
//
// Route:  api (POST and OPTIONS /v1/sources/{name}) -> here -> the log-writer, as any publish.
// Thread: any; take() changes nothing but counters.
// Always: nothing is read of a request before its secret or signature was found good; what is repeated
//         within a day is the same event.

#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/source.h"

namespace belfry::ingest {

struct WebhookRequest {
  std::string_view method;
  std::span<const std::pair<std::string, std::string>> headers;  // names in lower case
  std::span<const std::pair<std::string, std::string>> query;
  std::string_view body;
  Timestamp now;

  std::string_view header(std::string_view name) const;  // empty: none
};

// Either an answer at once, or something to publish first.
struct WebhookAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  bool publish = false;
  PublishRequest request{};  // with `publish`
  std::size_t records = 0;   // that it brought
  std::size_t dead = 0;      // of them, that it buries
};

class Webhook {
 public:
  // Code::config_invalid: a secret cannot be read, or is too short.
  static Result<std::unique_ptr<Webhook>> open(SourceConfig config, const Clock& clock);

  // As the files that `secret_files` names hold them now. Code::config_invalid.
  static Result<std::vector<std::string>> read_secrets(const SourceConfig& config);
  // From now on these open it, and no other. Any thread.
  void take_secrets(std::vector<std::string> secrets);

  const SourceConfig& config() const { return config_; }
  // Code::signature_invalid, bad_json and so on: the sender's fault.
  Result<WebhookAnswer> take(const WebhookRequest& request) const;
  // What came of it; any thread.
  void count(std::size_t records, std::size_t events, std::size_t dead) const;
  SourceStatus status() const;

 private:
  struct Delivery;
  Webhook(SourceConfig config, Mapping mapping, const Clock& clock)
      : config_(std::move(config)), mapping_(std::move(mapping)), since_(clock.wall()) {}

  Result<WebhookAnswer> take_checked(const WebhookRequest& request) const;
  Result<void> check_key(const WebhookRequest& request) const;
  Result<WebhookAnswer> handshake(const WebhookRequest& request) const;
  Result<WebhookAnswer> take_cloud(const WebhookRequest& request) const;
  Result<WebhookAnswer> take_grid(const WebhookRequest& request) const;
  Result<WebhookAnswer> take_signed(const WebhookRequest& request) const;
  bool is_allowed(std::string_view origin) const;
  void add(WebhookAnswer& answer, const boost::json::value& record, const std::string& id,
           Timestamp now) const;

  const SourceConfig config_;
  const Mapping mapping_;
  const Timestamp since_;
  std::vector<std::string> secrets() const;

  mutable std::mutex mutex_;
  std::vector<std::string> secrets_;  // under the mutex
  mutable std::atomic<std::uint64_t> records_{0}, events_{0}, dead_{0}, refused_{0};
};

// The text that a scheme signs, the time it names and the signatures given, from headers and body.
struct SignedParts {
  std::string text;
  std::string id;                       // what makes it the same delivery; empty: the signature
  std::string timestamp;                // seconds; empty: the scheme has none
  std::vector<std::string> signatures;  // bytes
};
Result<SignedParts> signed_parts(std::string_view scheme, const WebhookRequest& request);

// An event of Event Grid, in its own schema or as a CloudEvent, in the same words: {id, source, subject,
// type, time, data}.
boost::json::value grid_record(const boost::json::value& event);

}  // namespace belfry::ingest
