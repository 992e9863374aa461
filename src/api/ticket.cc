#include "api/ticket.h"

#include <openssl/crypto.h>

#include <boost/json.hpp>

#include "api/token.h"

namespace belfry {
namespace {

namespace json = boost::json;

std::vector<std::string> texts(const json::value& value) {
  return json::value_to<std::vector<std::string>>(value);
}

}  // namespace

std::string write_ticket(const Ticket& ticket, std::string_view secret) {
  const Principal& who = ticket.principal;
  const json::object body{{"id", ticket.id},
                          {"made", ticket.made.value.count()},
                          {"name", who.name},
                          {"user", who.user},
                          {"subscribe", json::value_from(who.rights.subscribe)},
                          {"publish", json::value_from(who.rights.publish)},
                          {"expires", who.expires ? who.expires->value.count() : 0},
                          {"issued", who.issued.value.count()},
                          {"token", who.token_id},
                          {"key", who.key},
                          {"topics", json::value_from(ticket.topics)},
                          {"types", json::value_from(ticket.types)},
                          {"feed", ticket.feed}};
  const std::string text = to_base64url(json::serialize(body));
  return text + "." + to_base64url(hmac_sha256(secret, text));
}

Result<Ticket> read_ticket(std::string_view text, std::string_view secret, Timestamp now) {
  const auto dot = text.find('.');
  const auto given = dot == std::string_view::npos ? std::nullopt : from_base64url(text.substr(dot + 1));
  const std::string expected = hmac_sha256(secret, text.substr(0, dot));
  if (!given || !same_secret(*given, expected))
    return fail(Code::token_invalid, "The ticket is not of this server.", "ticket");
  // From here on it is our own text.
  const json::value root = json::parse(*from_base64url(text.substr(0, dot)));
  Ticket ticket;
  ticket.id = root.at("id").as_string();
  ticket.made = Timestamp{Duration{root.at("made").to_number<std::int64_t>()}};
  ticket.topics = texts(root.at("topics"));
  ticket.types = texts(root.at("types"));
  ticket.feed = root.at("feed").as_bool();
  Principal& who = ticket.principal;
  who.name = root.at("name").as_string();
  who.user = root.at("user").as_string();
  who.rights = {texts(root.at("subscribe")), texts(root.at("publish"))};
  who.issued = Timestamp{Duration{root.at("issued").to_number<std::int64_t>()}};
  who.token_id = root.at("token").as_string();
  // Tickets of before did not say.
  if (const auto* key = root.as_object().if_contains("key")) who.key = key->as_string();
  const auto expires = root.at("expires").to_number<std::int64_t>();
  if (expires != 0) who.expires = Timestamp{Duration{expires}};
  if (who.expires && *who.expires <= now) return fail(Code::token_expired, {}, "ticket");
  return ticket;
}

std::string_view cookie_in(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const auto end = header.find(';');
    std::string_view pair = header.substr(0, end);
    header = end == std::string_view::npos ? std::string_view{} : header.substr(end + 1);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

}  // namespace belfry
