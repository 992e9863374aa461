#include "api/api.h"

#include "api/api_routes.h"

namespace belfry {

namespace {

// Fits the path's segments to a route's; gives what stands for `{x}` and `{x…}`.
bool fits(std::string_view path, const std::vector<std::string>& segments,
          std::vector<std::string>& arguments) {
  arguments.clear();
  std::size_t at = 0;
  for (path.remove_prefix(1); at < segments.size(); ++at) {
    const auto end = path.find('/');
    const auto wanted = path.substr(0, end);
    if (wanted.starts_with('{') && wanted.find("…") != std::string_view::npos) {
      std::string rest = segments[at];
      while (++at < segments.size()) rest += '/' + segments[at];
      arguments.push_back(std::move(rest));
      return true;
    }
    if (wanted.starts_with('{')) {
      if (segments[at].empty()) return false;
      arguments.push_back(segments[at]);
    } else if (wanted != segments[at]) {
      return false;
    }
    if (end == std::string_view::npos) return at + 1 == segments.size();
    path.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> table{
      {"GET", "/v1/events", &Api::get_events},
      {"POST", "/v1/events", &Api::post_events},
      {"DELETE", "/v1/events/{id}", &Api::delete_event},
      {"DELETE", "/v1/scheduled/{id}", &Api::delete_scheduled},
      {"GET", "/v1/feed", &Api::get_feed},
      {"POST", "/v1/feed/marks", &Api::post_marks},
      {"GET", "/v1/feed/mutes", &Api::get_mutes},
      {"PUT", "/v1/feed/mutes", &Api::put_mutes},
      {"GET", "/v1/users/{user}/follows", &Api::get_follows},
      {"PUT", "/v1/users/{user}/follows/{topic…}", &Api::put_follow},
      {"DELETE", "/v1/users/{user}/follows/{topic…}", &Api::delete_follow},
      {"DELETE", "/v1/users/{user}", &Api::delete_user},
      {"GET", "/v1/presence", &Api::get_presence},
      {"POST", "/v1/tickets", &Api::post_tickets},
      {"POST", "/v1/revocations", &Api::post_revocations},
      {"GET", "/v1/sources", &Api::get_sources},
      {"POST", "/v1/sources/{name}", &Api::post_source},
      {"POST", "/v1/sources/{name}/reset", &Api::post_reset},
      {"GET", "/healthz", &Api::get_health},
      {"GET", "/readyz", &Api::get_ready},
      {"GET", "/metrics", &Api::get_metrics},
      {"GET", "/", &Api::get_page},
      {"GET", "/v1/diagnose", &Api::get_diagnose, true},
      {"GET", "/sdk/{file}", &Api::get_sdk, true},
  };
  return table;
}

void Api::Waiting::on_closed() {
  of_desk ? api_.parts_.desk.forget(ticket) : void(api_.asking_.erase(ticket));
  api_.waiting_.erase(this);
}

void Api::Waiting::on_outcome(std::uint64_t, PublishOutcome outcome) {
  answer(outcome ? form_outcome(outcome.value()) : net::error_response(outcome.error()));
}

void Api::Waiting::on_feed(const Result<FeedReply>& reply) {
  answer(reply ? form_feed(reply.value()) : net::error_response(reply.error()));
}

void Api::Waiting::answer(net::Response response) {
  const auto mine = api_.waiting_.extract(this);
  for (const auto& header : cors_) response.headers.push_back(header);
  exchange_.respond(std::move(response));
}

Api::Api(ApiParts parts, ApiOptions options) : parts_(std::move(parts)), options_(std::move(options)) {}
Api::~Api() = default;

void Api::on_request(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  const Route* found = nullptr;
  Arguments arguments, of_found;
  std::string allowed;
  bool any_origin = false;
  for (const Route& route : routes()) {
    if (!fits(route.path, request.segments, arguments)) continue;
    const bool same = route.method == request.method || (route.method == "GET" && request.method == "HEAD");
    if (same) {
      found = &route;
      of_found = arguments;
    }
    allowed += allowed.empty() ? "" : ", ";
    allowed += route.method;
    any_origin |= route.any_origin;
  }
  if (allowed.empty()) return refuse(exchange, fail(Code::not_found));
  // CloudEvents' webhooks ask for permission with the method that browsers use for CORS.
  if (request.method == "OPTIONS" && request.header("webhook-request-origin") &&
      request.segments.size() == 3 && request.segments[1] == "sources")
    if (const auto* webhook = parts_.sources.webhook(request.segments[2]))
      return take_webhook(exchange, *webhook);
  if (request.method == "OPTIONS") return preflight(exchange, allowed, any_origin);
  if (found == nullptr) {
    net::Response response = net::error_response(fail(Code::method_not_allowed));
    response.headers.emplace_back("Allow", allowed);
    return reply(exchange, std::move(response));
  }
  (this->*found->function)(exchange, of_found);
}

void Api::submit(net::Exchange& exchange, PublishRequest request,
                 std::function<net::Response(const Published&)> form) {
  auto waiting = std::make_unique<Waiting>(*this, exchange, cors(exchange.request()));
  const auto ticket = parts_.desk.submit(std::move(request), *waiting);
  if (!ticket) return refuse(exchange, ticket.error());
  waiting->ticket = ticket.value();
  waiting->of_desk = true;
  waiting->form_outcome = std::move(form);
  exchange.defer(*waiting);
  Waiting* key = waiting.get();
  waiting_.emplace(key, std::move(waiting));
}

void Api::ask(net::Exchange& exchange, FeedJob job, std::function<net::Response(const FeedReply&)> form) {
  if (parts_.admission.load() >= Load::refusing)
    return refuse(exchange, parts_.admission.with_retry(fail(Code::overloaded)));
  const std::uint64_t ticket = ++last_ticket_;
  if (!parts_.feed.ask_feed(std::move(job), ticket)) return refuse(exchange, fail(Code::overloaded));
  auto waiting = std::make_unique<Waiting>(*this, exchange, cors(exchange.request()));
  waiting->ticket = ticket;
  waiting->form_feed = std::move(form);
  exchange.defer(*waiting);
  Waiting* key = waiting.get();
  asking_.emplace(ticket, key);
  waiting_.emplace(key, std::move(waiting));
}

void Api::on_feed(std::uint64_t ticket, const Result<FeedReply>& reply) {
  const auto found = asking_.find(ticket);
  if (found == asking_.end()) return;  // the client left
  Waiting* waiting = found->second;
  asking_.erase(found);
  waiting->on_feed(reply);
}

// CORS (WHATWG Fetch section 3.2): exact origins from the configuration, nothing for others; credentials
// only where a cookie may carry the token.
std::vector<net::Field> Api::cors(const net::Request& request) const {
  std::vector<net::Field> headers{{"Vary", "Origin"}};
  const auto origin = request.header("origin");
  if (!origin || !is_allowed(*origin)) return headers;
  if (!options_.cookie.empty()) headers.emplace_back("Access-Control-Allow-Credentials", "true");
  headers.emplace_back("Access-Control-Allow-Origin", std::string(*origin));
  headers.emplace_back("Access-Control-Expose-Headers",
                       "ETag, Belfry-Cursor, Retry-After, X-Retry-After-Ms");
  return headers;
}

void Api::preflight(net::Exchange& exchange, const std::string& methods, bool any_origin) {
  net::Response response{204, cors(exchange.request()), {}};
  if (any_origin) response.headers = {{"Vary", "Origin"}, {"Access-Control-Allow-Origin", "*"}};
  if (response.headers.size() > 1) {
    response.headers.emplace_back("Access-Control-Allow-Methods", methods);
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

net::Response json_response(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, std::move(body)};
}

}  // namespace belfry
