// Who speaks: a token or key in the header, a cookie with its guards against other sites, a ticket in the
// address.

#include <algorithm>

#include "api/api_routes.h"
#include "api/ticket.h"

namespace belfry {
namespace {

// http://localhost:5173 and its like: a page that this machine serves.
bool is_loopback(std::string_view origin) {
  const auto scheme = origin.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view host = origin.substr(scheme + 3);
  if (const auto port = host.rfind(':'); port != std::string_view::npos && host.back() != ']')
    host = host.substr(0, port);
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]" || host.ends_with(".localhost");
}

}  // namespace

bool is_same_origin(const net::Request& request, std::string_view origin) {
  const auto scheme = origin.find("://");
  const auto host = request.header("host");
  return host && scheme != std::string_view::npos && origin.substr(scheme + 3) == *host;
}

bool Api::is_allowed(std::string_view origin) const {
  const auto& allowed = options_.allowed_origins;
  return std::find(allowed.begin(), allowed.end(), origin) != allowed.end() ||
         (options_.dev && is_loopback(origin));
}

// A browser adds cookies to requests of any site. So what changes something needs an exact Origin and a
// JSON body, which no form can send; a GET without Origin needs Sec-Fetch-Site.
Result<void> Api::guard_cookie(const net::Request& request) const {
  const auto origin = request.header("origin");
  if (origin && !is_allowed(*origin) && !is_same_origin(request, *origin))
    return fail(Code::origin_not_allowed);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (reads && !net::wants_websocket(request)) {
    if (origin || request.header("sec-fetch-site").value_or("") == "same-origin") return {};
    return fail(Code::origin_not_allowed, "With a cookie, Origin or Sec-Fetch-Site is needed.");
  }
  if (!origin) return fail(Code::origin_not_allowed, "With a cookie, Origin is needed.");
  const auto type = request.header("content-type").value_or("");
  if (!request.body.empty() && type.substr(0, type.find(';')) != "application/json" &&
      type.substr(0, type.find(';')) != "application/x-ndjson")
    return fail(Code::unsupported_media_type);
  return {};
}

Result<Principal> Api::principal_of(const net::Request& request) const {
  const auto header = request.header("authorization");
  if (!header && !options_.cookie.empty()) {
    const auto token = cookie_in(request.header("cookie").value_or(""), options_.cookie);
    if (!token.empty()) {
      TRY(guard_cookie(request));
      return parts_.keyring.authenticate(token, parts_.clock.wall());
    }
  }
  if (!header) return fail(Code::unauthenticated);
  constexpr std::string_view kScheme = "bearer ";
  const bool bearer = header->size() > kScheme.size() &&
                      std::equal(kScheme.begin(), kScheme.end(), header->begin(),
                                 [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  if (!bearer)
    return fail(Code::unauthenticated, "The Authorization header is not of the form 'Bearer <token>'.");
  return parts_.keyring.authenticate(header->substr(kScheme.size()), parts_.clock.wall());
}

// A ticket opens its stream within 30 s, and later again if it has done so.
Result<Ticket> Api::ticket_of(const net::Request& request) const {
  const Timestamp now = parts_.clock.wall();
  Ticket ticket = TRY(read_ticket(*request.parameter("ticket"), options_.ticket_secret, now));
  parts_.keyring.complete(ticket.principal);
  TRY(parts_.keyring.check(ticket.principal, now));
  if (parts_.tickets.knows(ticket.id)) return ticket;
  // One of the future was made while the clock was wrong.
  if (now > ticket.made + limits::ticket_first_use || now + limits::ticket_first_use < ticket.made)
    return fail(Code::token_expired, "The ticket was not used within 30 s.", "ticket");
  return ticket;
}

// At once here, and soon in the store, for the server that comes after this one. Written with each use,
// because the one before may have found no room.
void Api::keep_ticket(const Ticket& ticket) {
  const Timestamp until = ticket.made + limits::ticket_time_max;
  PublishRequest request;
  request.principal = ticket.principal.name;
  request.changes.push_back(parts_.tickets.put(
      {ticket.id, ticket.principal.name, std::min(until, ticket.principal.expires.value_or(until))}));
  parts_.desk.send(std::move(request));
}

void Api::post_tickets(net::Exchange& exchange, const Arguments&) {
  if (!parts_.ready) return refuse(exchange, fail(Code::shutting_down));
  const net::Request& request = exchange.request();
  auto principal = principal_of(request);
  if (!principal) return refuse(exchange, principal.error());
  auto wish = wire::parse_ticket_body(request.body);
  if (!wish) return refuse(exchange, wish.error());
  const Timestamp now = parts_.clock.wall();
  Ticket ticket{to_hex(random_bytes(12)), now, std::move(principal).value(), {}, {}, false};
  const Timestamp latest = now + limits::ticket_time_max;
  ticket.principal.expires = std::min(latest, ticket.principal.expires.value_or(latest));
  if (!wish.value().renew.empty()) {
    auto old = read_ticket(wish.value().renew, options_.ticket_secret, Timestamp{});
    if (!old) return refuse(exchange, old.error());
    if (old.value().principal.name != ticket.principal.name)
      return refuse(exchange, fail(Code::forbidden, "The ticket is of somebody else.", "renew"));
    ticket.id = std::move(old.value().id);
    wish.value() = {std::move(old.value().topics), std::move(old.value().types), old.value().feed,
                    "renewed"};
  }
  const bool renews = !wish.value().renew.empty();
  Rights& rights = ticket.principal.rights;
  if (renews)
    std::erase_if(wish.value().topics,
                  [&](const std::string& topic) { return !authorize(rights, Act::subscribe, topic); });
  const Wish asked{wish.value().topics, wish.value().types, {}, wish.value().feed};
  const auto selectors = check_selectors(asked, ticket.principal);
  if (!selectors) return refuse(exchange, selectors.error());
  ticket.topics = asked.topics;
  ticket.types = asked.types;
  ticket.feed = asked.feed;
  if (renews) parts_.feed.renew_ticket(keyed_hash(ticket.id), ticket.principal);
  if (renews && parts_.tickets.knows(ticket.id)) keep_ticket(ticket);
  reply(exchange, json_response(201, wire::ticket_answer(write_ticket(ticket, options_.ticket_secret),
                                                         ticket.principal.expires)));
}

}  // namespace belfry
