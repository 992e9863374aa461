// What backends do to the log: publish, schedule, take back.

#include <charconv>

#include "api/api_routes.h"

namespace belfry {
namespace {

net::Response changed_response(const Published& published) {
  const CommandAnswer& answer = *published.command;
  return json_response(200, wire::change_answer(answer.changed, to_text(answer.cursor)));
}

}  // namespace

net::Response published_response(const Published& published) {
  return {published.replayed ? 200 : 201, {{"Content-Type", "application/json"}}, answer_of(published)};
}

namespace {

Result<void> take_cloud_events(wire::CloudEvents events, PublishRequest& out) {
  for (const Event& event : events.events)
    out.event_bodies.push_back(
        hash_of_body(event.topic + '\n' + event.type + '\n' + event.data + '\n' + event.notification));
  out.events = std::move(events.events);
  out.event_keys = std::move(events.keys);
  return {};
}

// Content-Type says which of the forms the body has.
Result<void> take_body(const net::Request& request, PublishRequest& out) {
  const auto type = request.header("content-type").value_or("application/json");
  const auto media = type.substr(0, type.find(';'));
  if (request.header("ce-specversion")) {
    const auto header = [&](std::string_view name) { return request.header(name); };
    return take_cloud_events(TRY(wire::parse_cloud_binary(header, request.body)), out);
  }
  if (media == "application/cloudevents+json")
    return take_cloud_events(TRY(wire::parse_cloud_event(request.body)), out);
  if (media == "application/cloudevents-batch+json")
    return take_cloud_events(TRY(wire::parse_cloud_batch(request.body)), out);
  if (media != "application/json" && media != "application/x-ndjson")
    return fail(Code::unsupported_media_type);
  const auto form = media == "application/json" ? wire::BodyForm::json : wire::BodyForm::json_lines;
  wire::PublishBody body = TRY(wire::parse_publish_body(request.body, form));
  out.events = std::move(body.events);
  out.deliver_at = std::move(body.deliver_at);
  return {};
}

}  // namespace

Result<PublishRequest> Api::publish_request(const net::Request& request) const {
  auto principal = TRY(principal_of(request));
  PublishRequest out;
  TRY(take_body(request, out));
  TRY(authorize_events(principal.rights, out.events));
  TRY(parts_.desk.check_load(principal, out.events));
  out.arrived = parts_.clock.wall();
  out.principal = std::move(principal.name);
  out.issued = principal.issued;
  out.token_id = std::move(principal.token_id);
  if (const auto key = request.header("idempotency-key")) {
    if (key->empty() || key->size() > limits::idempotency_key_bytes_max || !is_utf8(*key) ||
        wire::has_control_character(*key))
      return fail(Code::bad_parameter, "Between 1 and 255 bytes of UTF-8, no control characters.",
                  "Idempotency-Key");
    out.event_keys.clear();  // the header counts
    out.event_bodies.clear();
    out.idempotency_key = std::string(*key);
    out.body = hash_of_body(request.body);
  }
  return out;
}

void Api::post_events(net::Exchange& exchange, const Arguments&) {
  if (!parts_.ready) return refuse(exchange, fail(Code::shutting_down));
  auto request = publish_request(exchange.request());
  if (!request) return refuse(exchange, request.error());
  submit(exchange, std::move(request).value(), published_response);
}

void Api::delete_event(net::Exchange& exchange, const Arguments& arguments) {
  auto principal = principal_of(exchange.request());
  if (!principal) return refuse(exchange, principal.error());
  const auto id = parse_cursor(arguments[0]);
  if (!id) return refuse(exchange, fail(Code::unknown_event));
  PublishRequest request;
  request.principal = std::move(principal.value().name);
  request.command = RetractCommand{id.value(), std::move(principal.value().rights)};
  submit(exchange, std::move(request), changed_response);
}

void Api::delete_scheduled(net::Exchange& exchange, const Arguments& arguments) {
  auto principal = principal_of(exchange.request());
  if (!principal) return refuse(exchange, principal.error());
  const std::string& text = arguments[0];
  std::uint64_t id = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return refuse(exchange, fail(Code::unknown_event));
  PublishRequest request;
  request.principal = principal.value().name;
  request.command = CancelCommand{id, std::move(principal.value().name)};
  submit(exchange, std::move(request), changed_response);
}

}  // namespace belfry
