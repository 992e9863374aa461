#include "net/exchange.h"

#include <algorithm>

namespace belfry::net {
namespace {

std::optional<std::string_view> first_of(const std::vector<Field>& fields, std::string_view name) {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return std::nullopt;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += out.empty() ? "{\"" : ",\"";
  out += name;
  out += "\":";
  append_json_string(out, text);
}

}  // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
  return first_of(headers, name);
}

std::optional<std::string_view> Request::parameter(std::string_view name) const {
  return first_of(query, name);
}

std::vector<std::string_view> Request::parameters(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : query)
    if (key == name) values.push_back(value);
  return values;
}

std::string error_json(const Error& error) {
  // A detail may quote what was sent, which need not be UTF-8.
  const std::string_view message = is_utf8(error.message()) ? error.message() : info(error.code).message;
  std::string out;
  append_member(out, "code", info(error.code).name);
  append_member(out, "message", message);
  append_member(out, "hint", error.hint());
  if (!error.field.empty() && is_utf8(error.field)) append_member(out, "field", error.field);
  return out + '}';
}

Response error_response(const Error& error) {
  Response response;
  response.status = info(error.code).http;
  response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (response.status == 426) response.headers.emplace_back("Sec-WebSocket-Version", "13");
  if (info(error.code).retry == Retry::later) {
    const std::uint32_t seconds = std::max(1u, (error.retry_ms + 999) / 1000);
    response.headers.emplace_back("Retry-After", std::to_string(seconds));
  }
  if (error.retry_ms > 0) response.headers.emplace_back("X-Retry-After-Ms", std::to_string(error.retry_ms));
  response.body = error_json(error);
  return response;
}

}  // namespace belfry::net
