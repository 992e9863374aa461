// GET /v1/events: one resource, spoken as the client's headers choose. And the small routes for operators.

#include <algorithm>
#include <charconv>

#include "api/accept.h"
#include "api/api_routes.h"
#include "api/dev_page.h"

namespace belfry {
namespace {

constexpr std::string_view kKnown[] = {"topic", "type", "since",  "wait",
                                       "event", "feed", "ticket", "format"};

Result<void> check_parameters(const net::Request& request) {
  for (const auto& [name, value] : request.query)
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
      return fail(Code::bad_parameter, "There is no such parameter.", name.substr(0, 64));
  const auto event = request.parameter("event");
  if (event && *event != "message")
    return fail(Code::bad_parameter, "The only value is 'message'.", "event");
  const auto format = request.parameter("format");
  if (format && *format != "cloudevents")
    return fail(Code::bad_parameter, "The only value is 'cloudevents'.", "format");
  const auto feed = request.parameter("feed");
  if (feed && *feed != "true") return fail(Code::bad_parameter, "The only value is 'true'.", "feed");
  if (request.parameter("since").value_or("").size() > limits::cursor_bytes_max)
    return fail(Code::bad_cursor, "It is longer than 128 bytes.", "since");
  return {};
}

Result<Duration> wait_of(const net::Request& request) {
  const auto text = request.parameter("wait");
  if (!text) return Duration{0};
  unsigned seconds = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (parsed.ec != std::errc{} || parsed.ptr != text->data() + text->size())
    return fail(Code::bad_parameter, "It must be a number of seconds.", "wait");
  const std::chrono::seconds wait{
      std::min<unsigned>(seconds, static_cast<unsigned>(limits::long_poll_wait_max.count()))};
  return std::chrono::duration_cast<Duration>(wait);
}

// The address of the next poll, up to the cursor.
std::string next_prefix(const net::Request& request) {
  std::string out = "/v1/events?";
  for (const auto& [name, value] : request.query)
    if (name != "since") out += name + "=" + percent_encode(value, "-._~/:@") + "&";
  return out + "since=";
}

// The tag of If-None-Match that is a cursor: "x", W/"x"; others are ignored.
std::string tag_of(const net::Request& request) {
  std::string_view text = request.header("if-none-match").value_or("");
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return {};
  return std::string(text.substr(1, text.size() - 2));
}

std::vector<std::string> texts(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

}  // namespace

// Before anything is spent on it: the bucket, and the load.
void Api::get_events(net::Exchange& exchange, const Arguments&) {
  const net::Request& request = exchange.request();
  if (!parts_.ready) return turn_away(exchange, fail(Code::shutting_down));
  const auto form = accepted_form(request.header("accept").value_or(""));
  const bool polls =
      !net::wants_websocket(request) && form != StreamForm::sse && form != StreamForm::json_lines;
  const bool resumes = request.header("last-event-id") || request.parameter("since");
  using Wanted = Admission::Wanted;
  const Wanted wanted = polls ? Wanted::poll : resumes ? Wanted::resume : Wanted::stream;
  const auto admitted = parts_.admission.knock(wanted, parts_.clock.now());
  if (!admitted) return turn_away(exchange, admitted.error());
  listen(exchange);
}

void Api::turn_away(net::Exchange& exchange, const Error& error) {
  const net::Request& request = exchange.request();
  const bool sse = request.method == "GET" && !net::wants_websocket(request) &&
                   accepted_form(request.header("accept").value_or("")) == StreamForm::sse;
  if (sse) return parts_.streams.refuse_sse(exchange, error, cors(request));
  refuse(exchange, parts_.admission.with_retry(error));
}

std::string Api::counted_address(const net::Request& request) const {
  return options_.free_addresses.contains(request.peer) ? std::string() : request.peer;
}

void Api::listen(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  if (net::wants_websocket(request)) {
    if (auto checked = net::check_websocket_upgrade(request); !checked)
      return refuse(exchange, checked.error());
    return open_websocket(exchange);
  }
  // EventSource repeats its URL when it comes back; what it says in the header is newer.
  std::string_view since = request.header("last-event-id").value_or("");
  if (since.empty()) since = request.parameter("since").value_or("");
  if (auto checked = check_parameters(request); !checked) return refuse(exchange, checked.error());
  Wish wish{texts(request.parameters("topic")), texts(request.parameters("type")), {}, false};
  wish.feed = request.parameter("feed").has_value();
  auto asking = asker_of(request, wish);
  if (!asking) return refuse(exchange, asking.error());
  const Principal& principal = asking.value().principal;
  auto selectors = check_selectors(wish, principal);
  if (!selectors) return refuse(exchange, selectors.error());
  Attach attach = place_session(since, parts_.epochs, parts_.tail.head());
  attach.selectors = std::move(selectors).value();
  if (wish.feed) attach_feed(attach, principal.user, wish.types);
  attach.credential = credential_of(principal);
  attach.user = principal.user;
  if (asking.value().ticket) attach.ticket = keyed_hash(asking.value().ticket->id);
  attach.expires = principal.expires.value_or(Timestamp{Duration::max()});
  open_stream(exchange, std::move(attach), since, asking.value().ticket);
}

// Whoever comes with a ticket asks for what stands in it, and ends the stream that it had opened before,
// once there is one to open.
Result<Api::Asker> Api::asker_of(const net::Request& request, Wish& wish) {
  if (!request.parameter("ticket")) return Asker{TRY(principal_of(request)), {}};
  if (!wish.topics.empty() || !wish.types.empty() || wish.feed)
    return fail(Code::bad_parameter, "What is asked for stands in the ticket.", "ticket");
  Ticket ticket = TRY(ticket_of(request));
  wish = {ticket.topics, ticket.types, {}, ticket.feed};
  Principal principal = ticket.principal;
  return Asker{std::move(principal), std::move(ticket)};
}

// With a cookie the client has said who it is, before its first message.
void Api::open_websocket(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  auto seat = parts_.admission.take_seat({}, counted_address(request));
  if (!seat) return refuse(exchange, seat.error());
  const bool has_cookie = !options_.cookie.empty() &&
                          !cookie_in(request.header("cookie").value_or(""), options_.cookie).empty();
  if (!has_cookie) return parts_.streams.open_websocket(exchange, std::move(seat).value(), std::nullopt);
  auto principal = principal_of(request);
  if (!principal) return refuse(exchange, principal.error());
  parts_.streams.open_websocket(exchange, std::move(seat).value(), std::move(principal).value());
}

void Api::open_stream(net::Exchange& exchange, Attach attach, std::string_view since,
                      const std::optional<Ticket>& ticket) {
  const net::Request& request = exchange.request();
  const auto headers = cors(request);
  // A HEAD asks for a head, not for a stream.
  const bool head_only = request.method == "HEAD";
  const StreamForm form =
      head_only ? StreamForm::poll : accepted_form(request.header("accept").value_or(""));
  const bool cloud_events = request.parameter("format").has_value() || form == StreamForm::cloud_poll;
  const bool opens = ticket && !head_only && form != StreamForm::none;
  if (opens) {  // its seat is free then
    parts_.streams.end_ticket(attach.ticket);
    parts_.feed.end_ticket_elsewhere(attach.ticket);
  }
  auto taken = parts_.admission.take_seat(attach.user, counted_address(request));
  if (!taken) return turn_away(exchange, taken.error());
  Seat seat = std::move(taken).value();
  if (opens) keep_ticket(*ticket);
  switch (form) {
    case StreamForm::sse: {
      const auto names = cloud_events                 ? SseNames::cloud_events
                         : request.parameter("event") ? SseNames::message_only
                                                      : SseNames::event_types;
      return parts_.streams.open_sse(exchange, std::move(seat), std::move(attach), names, headers);
    }
    case StreamForm::json_lines:
      return parts_.streams.open_json_lines(exchange, std::move(seat), std::move(attach), cloud_events,
                                            headers);
    case StreamForm::cloud_poll:
    case StreamForm::poll: {
      const auto wait = wait_of(request);
      if (!wait) return refuse(exchange, wait.error());
      if (wait.value() == Duration{0}) attach.user.clear();  // a short poll is no presence
      PollWish wish{std::string(since), tag_of(request), wait.value(), cloud_events, next_prefix(request)};
      return parts_.streams.open_poll(exchange, std::move(seat), std::move(attach), std::move(wish),
                                      headers);
    }
    case StreamForm::none:
      return refuse(exchange, fail(Code::not_acceptable));
  }
}

void Api::get_health(net::Exchange& exchange, const Arguments&) {
  reply(exchange, {200, {{"Content-Type", "text/plain"}}, "ok\n"});
}

void Api::get_ready(net::Exchange& exchange, const Arguments&) {
  if (!parts_.ready) return refuse(exchange, fail(Code::shutting_down));
  // A source that waits for its origin does not make this server less ready; it is told all the same.
  std::string text = "ready\n";
  for (const auto& source : parts_.sources.status())
    text += "source " + source.name + " " + std::string(ingest::name_of(source.state)) +
            (source.alarm ? " alarm\n" : "\n");
  reply(exchange, {200, {{"Content-Type", "text/plain"}}, text});
}

void Api::get_metrics(net::Exchange& exchange, const Arguments&) {
  reply(exchange, {200,
                   {{"Content-Type", "text/plain; version=0.0.4"}, {"Cache-Control", "no-store"}},
                   parts_.metrics.text()});
}

void Api::get_page(net::Exchange& exchange, const Arguments&) {
  if (!options_.dev) return refuse(exchange, fail(Code::not_found));
  reply(exchange, {200,
                   {{"Content-Type", "text/html; charset=utf-8"},
                    {"Cache-Control", "no-cache"},
                    {"Content-Security-Policy",
                     "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                     "connect-src 'self' ws: wss:; frame-ancestors 'none'"},
                    {"Referrer-Policy", "no-referrer"}},
                   std::string(dev_page())});
}

void Api::get_presence(net::Exchange& exchange, const Arguments&) {
  const net::Request& request = exchange.request();
  const auto principal = principal_of(request);
  if (!principal) return refuse(exchange, principal.error());
  const std::string topic(request.parameter("topic").value_or(""));
  if (auto checked = check_topic(topic); !checked) return refuse(exchange, checked.error());
  if (auto allowed = authorize(principal.value().rights, Act::subscribe, topic); !allowed)
    return refuse(exchange, allowed.error());
  const bool kept = std::any_of(options_.presence.begin(), options_.presence.end(),
                                [&](const std::string& pattern) { return matches(pattern, topic); });
  if (!kept)
    return refuse(exchange, fail(Code::bad_parameter, "presence.topics does not name it.", "topic"));
  PublishRequest question;
  question.principal = principal.value().name;
  question.command = PresenceCommand{PresenceCommand::Kind::list, 0, {}, topic};
  submit(exchange, std::move(question), [topic](const Published& published) {
    std::vector<std::pair<std::string, Timestamp>> users;
    for (const Present& present : published.command->present)
      users.emplace_back(present.user, present.since);
    return json_response(200, wire::presence_answer(topic, users));
  });
}

}  // namespace belfry
