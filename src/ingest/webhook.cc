#include "ingest/webhook.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "ingest/cloud_event.h"
#include "ingest/kinds.h"
#include "ingest/read_json.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

constexpr std::size_t kSecretBytesMin = 16;

// A Standard Webhooks secret is base64 behind "whsec_".
std::string key_of(const std::string& secret) {
  constexpr std::string_view kPrefix = "whsec_";
  if (!secret.starts_with(kPrefix)) return secret;
  return from_base64(std::string_view(secret).substr(kPrefix.size())).value_or(secret);
}

json::object pairs_of(std::span<const std::pair<std::string, std::string>> pairs) {
  json::object out;
  for (const auto& [name, value] : pairs)
    if (is_utf8(name) && is_utf8(value)) out[name] = value;
  return out;
}

}  // namespace

json::value grid_record(const json::value& event) {
  json::object out;
  const bool cloud = !member_text(event, "specversion").empty();
  const std::pair<std::string_view, std::string_view> names[] = {{"id", "id"},
                                                                 {"source", cloud ? "source" : "topic"},
                                                                 {"subject", "subject"},
                                                                 {"type", cloud ? "type" : "eventType"},
                                                                 {"time", cloud ? "time" : "eventTime"},
                                                                 {"data", "data"}};
  for (const auto& [ours, theirs] : names)
    if (const auto* value = member(event, theirs)) out[ours] = *value;
  return json::value(std::move(out));
}

namespace {

// HTTP binding section 3.1: attributes are headers ce-…, the body is the data.
Result<json::value> binary_event(const WebhookRequest& request) {
  json::object out;
  for (const auto& [name, value] : request.headers) {
    if (!name.starts_with("ce-")) continue;
    if (!is_utf8(value)) return fail(Code::bad_utf8, {}, name);
    out[name.substr(3)] = value;
  }
  if (!request.body.empty()) TRY(add_data(out, request.header("content-type"), request.body));
  return json::value(std::move(out));
}

}  // namespace

std::string_view WebhookRequest::header(std::string_view name) const {
  for (const auto& [known, value] : headers)
    if (known == name) return value;
  return {};
}

Result<std::unique_ptr<Webhook>> Webhook::open(SourceConfig config, const Clock& clock) {
  Mapping mapping = TRY(mapping_of(config));
  std::unique_ptr<Webhook> out(new Webhook(std::move(config), std::move(mapping), clock));
  out->secrets_ = TRY(read_secrets(out->config_));
  return out;
}

Result<std::vector<std::string>> Webhook::read_secrets(const SourceConfig& config) {
  std::vector<std::string> out;
  for (const std::string& file : config.list("secret_files")) {
    SourceConfig one;
    one.settings["secret_file"] = {file};
    const auto secret = one.secret("secret");
    if (!secret) return fail(Code::config_invalid, secret.error().detail, "secret_files");
    if (secret.value().size() < kSecretBytesMin)
      return fail(Code::config_invalid, file + " holds less than 16 bytes.", "secret_files");
    out.push_back(key_of(secret.value()));
  }
  return out;
}

void Webhook::take_secrets(std::vector<std::string> secrets) {
  const std::lock_guard lock(mutex_);
  secrets_ = std::move(secrets);
}

std::vector<std::string> Webhook::secrets() const {
  const std::lock_guard lock(mutex_);
  return secrets_;
}

Result<WebhookAnswer> Webhook::take(const WebhookRequest& request) const {
  auto taken = take_checked(request);
  if (!taken) ++refused_;
  return taken;
}

Result<WebhookAnswer> Webhook::take_checked(const WebhookRequest& request) const {
  if (config_.kind == "webhook") return take_signed(request);
  TRY(check_key(request));
  if (request.method == "OPTIONS") return handshake(request);
  return config_.kind == "event-grid" ? take_grid(request) : take_cloud(request);
}

// The sender shows the secret itself: as `key` of the query (Event Grid has nothing else without Entra ID),
// or as a bearer token.
Result<void> Webhook::check_key(const WebhookRequest& request) const {
  std::string_view given = request.header("authorization");
  given = given.starts_with("Bearer ") ? given.substr(7) : std::string_view{};
  for (const auto& [name, value] : request.query)
    if (name == "key") given = value;
  bool good = false;
  for (const std::string& secret : secrets()) good |= same_secret(given, secret);
  if (!good) return fail(Code::signature_invalid, "The key of this source is missing or wrong.");
  return {};
}

bool Webhook::is_allowed(std::string_view origin) const {
  const auto allowed = config_.list("origins");
  return std::any_of(allowed.begin(), allowed.end(),
                     [origin](const std::string& one) { return one == "*" || one == origin; });
}

// CloudEvents, HTTP webhooks section 4: who asks for permission is given it, or not.
Result<WebhookAnswer> Webhook::handshake(const WebhookRequest& request) const {
  const std::string origin(request.header("webhook-request-origin"));
  if (origin.empty()) return fail(Code::bad_request, "The header WebHook-Request-Origin is missing.");
  if (!is_allowed(origin)) return fail(Code::origin_not_allowed, {}, "origins");
  WebhookAnswer answer;
  const std::string_view rate = request.header("webhook-request-rate");
  answer.headers = {{"Allow", "OPTIONS, POST"},
                    {"WebHook-Allowed-Origin", origin},
                    {"WebHook-Allowed-Rate", rate.empty() ? "*" : std::string(rate)}};
  return answer;
}

Result<WebhookAnswer> Webhook::take_cloud(const WebhookRequest& request) const {
  const std::string_view type = request.header("content-type");
  const std::string_view media = type.substr(0, type.find(';'));
  WebhookAnswer answer;
  answer.publish = true;
  const auto add_one = [&](const json::value& event) -> Result<void> {
    TRY(check_cloud_event(event));
    json::object record;
    record["event"] = event;
    add(answer, json::value(std::move(record)),
        member_text(event, "source") + "\n" + member_text(event, "id"), request.now);
    return {};
  };
  if (media == "application/cloudevents-batch+json") {
    const json::value root = TRY(read_json(request.body));
    const auto* array = root.if_array();
    if (array == nullptr) return fail(Code::wrong_type, "A batch is an array of events.");
    if (array->size() > limits::batch_events_max) return fail(Code::batch_too_large);
    for (const auto& event : *array) TRY(add_one(event));
  } else if (media == "application/cloudevents+json") {
    const json::value event = TRY(read_json(request.body));
    TRY(add_one(event));
  } else {
    const json::value event = TRY(binary_event(request));
    TRY(add_one(event));
  }
  return answer;
}

Result<WebhookAnswer> Webhook::take_grid(const WebhookRequest& request) const {
  const json::value root = TRY(read_json(request.body));
  const auto* array = root.if_array();
  if (array != nullptr && array->size() > limits::batch_events_max) return fail(Code::batch_too_large);
  WebhookAnswer answer;
  if (request.header("aeg-event-type") == "SubscriptionValidation") {
    const auto* data = array == nullptr || array->empty() ? nullptr : member((*array)[0], "data");
    const std::string code = data == nullptr ? std::string() : member_text(*data, "validationCode");
    if (code.empty()) return fail(Code::missing_field, {}, "data.validationCode");
    answer.headers.emplace_back("Content-Type", "application/json");
    answer.body = json::serialize(json::object{{"validationResponse", code}});
    return answer;
  }
  if (request.header("aeg-event-type") == "SubscriptionDeletion") return answer;
  answer.publish = true;
  const auto add_one = [&](const json::value& event) -> Result<void> {
    const json::value record = grid_record(event);
    const std::string id = member_text(record, "id");
    if (id.empty()) return fail(Code::missing_field, {}, "id");
    add(answer, record, member_text(record, "source") + "\n" + id, request.now);
    return {};
  };
  if (array == nullptr) {
    TRY(add_one(root));
  } else {
    for (const auto& event : *array) TRY(add_one(event));
  }
  return answer;
}

Result<WebhookAnswer> Webhook::take_signed(const WebhookRequest& request) const {
  if (request.method != "POST") return fail(Code::method_not_allowed);
  SignedParts parts = TRY(signed_parts(config_.text("scheme"), request));
  std::string good;
  for (const std::string& secret : secrets()) {
    const std::string expected = hmac_sha256(secret, parts.text);
    for (const std::string& given : parts.signatures)
      if (same_secret(given, expected)) good = expected;
  }
  if (good.empty()) return fail(Code::signature_invalid);
  if (!parts.timestamp.empty()) {
    std::int64_t seconds = 0, tolerance = 300;
    const std::string& text = parts.timestamp;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const std::string most = config_.text("tolerance_s");
    (void)std::from_chars(most.data(), most.data() + most.size(), tolerance);
    const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(request.now.value).count();
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || seconds < now - tolerance ||
        seconds > now + tolerance)
      return fail(Code::signature_invalid, "The signature is too old, or of the future.");
  }
  const json::value body = TRY(read_json(request.body));
  json::object record{{"headers", pairs_of(request.headers)}, {"query", pairs_of(request.query)}};
  record["body"] = body;
  const json::value whole(std::move(record));
  std::string id = parts.id;
  if (const std::string text = config_.text("id"); !text.empty()) {
    const Template parsed = TRY(Template::parse(text));
    id = TRY(parsed.render(whole));
  } else if (id.empty()) {
    id = member_text(body, config_.text("scheme") == "slack" ? "event_id" : "id");
    if (id.empty() || config_.text("scheme") == "github") id = to_hex(good);
  }
  WebhookAnswer answer;
  answer.publish = true;
  add(answer, whole, id, request.now);
  return answer;
}

// Each event's key is the delivery's, so a repeated delivery stores nothing again.
void Webhook::add(WebhookAnswer& answer, const json::value& record, const std::string& id,
                  Timestamp now) const {
  PublishRequest& request = answer.request;
  ++answer.records;
  request.principal = "source:" + config_.name;
  auto events = mapping_.events(record);
  if (!events) {
    log_warn("a record could not become an event",
             {{"source", config_.name}, {"position", id}, {"reason", events.error().text()}});
    request.changes.push_back(
        PutDeadLetter{{0, config_.name, id, events.error().text(), shown(record), now}});
    ++answer.dead;
    return;
  }
  std::size_t n = 0;
  for (Event& event : events.value()) {
    std::string key = id + "#" + std::to_string(n++);
    if (key.size() > limits::idempotency_key_bytes_max) key = to_hex(hmac_sha256("belfry", key));
    if (std::find(request.event_keys.begin(), request.event_keys.end(), key) != request.event_keys.end())
      continue;  // twice in one batch
    request.events.push_back(std::move(event));
    request.event_keys.push_back(std::move(key));
    request.event_bodies.emplace_back();  // the same id is the same event, whatever is in it
  }
}

void Webhook::count(std::size_t records, std::size_t events, std::size_t dead) const {
  records_ += records;
  events_ += events;
  dead_ += dead;
}

SourceStatus Webhook::status() const {
  SourceStatus out;
  out.name = config_.name;
  out.kind = config_.kind;
  out.state = SourceState::running;
  out.since = since_;
  out.records = records_;
  out.events = events_;
  out.dead_letters = dead_;
  out.failures = refused_;
  return out;
}

}  // namespace belfry::ingest
