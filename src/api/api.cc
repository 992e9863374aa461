#include "api/api.h"

#include <algorithm>

#include "api/api_routes.h"

namespace belfry {

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> table{
      {"GET", "/v1/events", &Api::get_events}, {"POST", "/v1/events", &Api::post_events},
      {"GET", "/healthz", &Api::get_health},   {"GET", "/readyz", &Api::get_ready},
      {"GET", "/metrics", &Api::get_metrics},  {"GET", "/", &Api::get_page},
  };
  return table;
}

// A publisher whose events are on their way to the log.
struct Api::Waiting final : net::StreamEvents {
  Waiting(Api& api, net::Exchange& answered, std::uint64_t number, std::vector<net::Field> headers)
      : owner(api), exchange(answered), ticket(number), cors_headers(std::move(headers)) {}

  void on_writable() override {}
  void on_bytes(std::string_view) override {}
  // The publisher left; the commit goes on without an answer.
  void on_closed() override { owner.waiting_.erase(ticket); }

  Api& owner;
  net::Exchange& exchange;
  const std::uint64_t ticket;
  std::vector<net::Field> cors_headers;
};

Api::Api(ApiParts parts, ApiOptions options) : parts_(std::move(parts)), options_(std::move(options)) {}
Api::~Api() = default;

void Api::on_request(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  const Route* found = nullptr;
  std::string allowed;
  for (const Route& route : routes()) {
    if (route.path != request.path) continue;
    const bool same = route.method == request.method || (route.method == "GET" && request.method == "HEAD");
    if (same || request.method == "OPTIONS") found = &route;
    allowed += allowed.empty() ? "" : ", ";
    allowed += route.method;
  }
  if (allowed.empty()) return refuse(exchange, fail(Code::not_found));
  if (found == nullptr) {
    net::Response response = net::error_response(fail(Code::method_not_allowed));
    response.headers.emplace_back("Allow", allowed);
    return reply(exchange, std::move(response));
  }
  if (request.method == "OPTIONS") return preflight(exchange, *found);
  (this->*found->function)(exchange);
}

// CORS (WHATWG Fetch section 3.2): exact origins from the configuration, nothing for others, never
// credentials.
std::vector<net::Field> Api::cors(const net::Request& request) const {
  std::vector<net::Field> headers{{"Vary", "Origin"}};
  const auto origin = request.header("origin");
  const auto& allowed = options_.allowed_origins;
  if (!origin || std::find(allowed.begin(), allowed.end(), *origin) == allowed.end()) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", std::string(*origin));
  headers.emplace_back("Access-Control-Expose-Headers", "ETag, Belfry-Cursor, Retry-After");
  return headers;
}

void Api::preflight(net::Exchange& exchange, const Route&) {
  net::Response response{204, cors(exchange.request()), {}};
  if (response.headers.size() > 1) {
    response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
    response.headers.emplace_back(
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID");
    response.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  exchange.respond(std::move(response));
}

void Api::refuse(net::Exchange& exchange, const Error& error) {
  reply(exchange, net::error_response(error));
}

void Api::reply(net::Exchange& exchange, net::Response response) {
  for (auto& header : cors(exchange.request())) response.headers.push_back(std::move(header));
  exchange.respond(std::move(response));
}

Result<Principal> Api::principal_of(const net::Request& request) const {
  const auto header = request.header("authorization");
  if (!header) return fail(Code::unauthenticated);
  constexpr std::string_view kScheme = "bearer ";
  const bool bearer = header->size() > kScheme.size() &&
                      std::equal(kScheme.begin(), kScheme.end(), header->begin(),
                                 [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  if (!bearer)
    return fail(Code::unauthenticated, "The Authorization header is not of the form 'Bearer <token>'.");
  return parts_.keyring.authenticate(header->substr(kScheme.size()), parts_.clock.wall());
}

Result<PublishRequest> Api::publish_request(const net::Request& request) const {
  auto principal = TRY(principal_of(request));
  const auto type = request.header("content-type").value_or("application/json");
  const auto media = type.substr(0, type.find(';'));
  if (media != "application/json" && media != "application/x-ndjson")
    return fail(Code::unsupported_media_type);
  const auto form = media == "application/json" ? wire::BodyForm::json : wire::BodyForm::json_lines;
  PublishRequest out;
  out.events = TRY(wire::parse_publish_body(request.body, form));
  for (std::size_t i = 0; i < out.events.size(); ++i) {
    auto allowed = authorize(principal.rights, Act::publish, out.events[i].topic);
    if (allowed) continue;
    Error error = std::move(allowed).error();
    if (out.events.size() > 1) error.field = "events[" + std::to_string(i) + "].topic";
    return error;
  }
  out.principal = std::move(principal.name);
  if (const auto key = request.header("idempotency-key")) {
    if (key->empty() || key->size() > limits::idempotency_key_bytes_max || !is_utf8(*key))
      return fail(Code::bad_parameter, "Between 1 and 255 bytes of UTF-8.", "Idempotency-Key");
    out.idempotency_key = std::string(*key);
    out.body = body_hash(request.body);
  }
  return out;
}

void Api::post_events(net::Exchange& exchange) {
  if (!parts_.ready) return refuse(exchange, fail(Code::shutting_down));
  auto request = publish_request(exchange.request());
  if (!request) return refuse(exchange, request.error());
  const std::uint64_t ticket = next_ticket_++;
  auto headers = cors(exchange.request());
  if (!parts_.publish.submit(std::move(request).value(), ticket))
    return refuse(exchange, fail(Code::overloaded));
  auto waiting = std::make_unique<Waiting>(*this, exchange, ticket, std::move(headers));
  exchange.defer(*waiting);
  waiting_.emplace(ticket, std::move(waiting));
}

void Api::on_published(std::uint64_t ticket, PublishOutcome outcome) {
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return;  // the publisher left
  const std::unique_ptr<Waiting> waiting = std::move(found->second);
  waiting_.erase(found);
  net::Response response;
  if (outcome) {
    const Published& published = outcome.value();
    std::vector<wire::PublishedEvent> events;
    for (const Placed& placed : published.events)
      events.push_back(
          {placed.cursor.offset == 0 ? std::string() : to_text(placed.cursor), placed.topic, placed.seq});
    response = {published.replayed ? 200 : 201, {{"Content-Type", "application/json"}}, {}};
    response.body = wire::publish_answer(events, published.replayed);
  } else {
    response = net::error_response(outcome.error());
  }
  for (auto& header : waiting->cors_headers) response.headers.push_back(std::move(header));
  waiting->exchange.respond(std::move(response));
}

}  // namespace belfry
