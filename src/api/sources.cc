// Webhooks of sources, and what operators ask about sources.

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "api/api_routes.h"

namespace belfry {
namespace json = boost::json;

namespace {

json::value error_of(const std::optional<Error>& error) {
  if (!error) return json::value(nullptr);
  return json::object{
      {"code", info(error->code).name}, {"message", error->message()}, {"hint", error->hint()}};
}

json::value status_of(const ingest::SourceStatus& source) {
  json::object positions;
  for (const Position& one : source.positions) positions[one.part] = one.value;
  json::object out{{"name", source.name},
                   {"kind", source.kind},
                   {"state", ingest::name_of(source.state)},
                   {"since", format_rfc3339(source.since)},
                   {"records", source.records},
                   {"events", source.events},
                   {"dead_letters", source.dead_letters},
                   {"failures", source.failures}};
  out["positions"] = std::move(positions);
  if (source.lag) out["lag"] = json::object{{"value", *source.lag}, {"unit", source.lag_unit}};
  out["error"] = error_of(source.error);
  out["alarm"] = error_of(source.alarm);
  return out;
}

}  // namespace

void Api::get_sources(net::Exchange& exchange, const Arguments&) {
  if (auto backend = need_backend(exchange.request()); !backend) return refuse(exchange, backend.error());
  json::array all;
  for (const auto& source : parts_.sources.status()) all.push_back(status_of(source));
  const json::object body{{"sources", std::move(all)}};
  reply(exchange, json_response(200, json::serialize(body)));
}

void Api::post_reset(net::Exchange& exchange, const Arguments& arguments) {
  if (auto backend = need_backend(exchange.request()); !backend) return refuse(exchange, backend.error());
  if (auto done = parts_.sources.reset(arguments[0]); !done) return refuse(exchange, done.error());
  reply(exchange, {202, {}, {}});
}

void Api::post_source(net::Exchange& exchange, const Arguments& arguments) {
  const ingest::Webhook* webhook = parts_.sources.webhook(arguments[0]);
  if (webhook == nullptr) return refuse(exchange, fail(Code::not_found));
  take_webhook(exchange, *webhook);
}

// Answered after the commit, as any publish: the sender may forget it then.
void Api::take_webhook(net::Exchange& exchange, const ingest::Webhook& webhook) {
  if (!parts_.ready) return refuse(exchange, fail(Code::shutting_down));
  const net::Request& request = exchange.request();
  auto answer =
      webhook.take({request.method, request.headers, request.query, request.body, parts_.clock.wall()});
  if (!answer) return refuse(exchange, answer.error());
  ingest::WebhookAnswer& taken = answer.value();
  if (!taken.publish) {
    reply(exchange, {taken.status, std::move(taken.headers), std::move(taken.body)});
    return;
  }
  const std::size_t records = taken.records, dead = taken.dead;
  submit(exchange, std::move(taken.request), [&webhook, records, dead](const Published& published) {
    webhook.count(records, published.replayed ? 0 : published.events.size(), dead);
    const json::object body{{"events", published.events.size()}, {"dead_letters", dead}};
    return json_response(200, json::serialize(body));
  });
}

}  // namespace belfry
