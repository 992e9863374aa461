#include "wire/event_frame.h"

#include <fmt/format.h>

#include <algorithm>

namespace belfry::wire {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view json) {
  out += ",\"";
  out += name;
  out += "\":";
  out += json;
}

void append_text_field(std::string& out, std::string_view name, std::string_view text) {
  append_field(out, name, {});
  append_json_string(out, text);
}

// Data lines (WHATWG HTML section 9.2.6). The envelope is one line; should it ever not be, it is still
// framed.
void append_data(std::string& out, std::string_view text) {
  for (;;) {
    const auto found = std::find_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; });
    const auto end = static_cast<std::size_t>(found - text.begin());
    out += "data: ";
    out += text.substr(0, end);
    out += '\n';
    if (end == text.size()) return;
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
}

std::string sse(const Event& event, bool named) {
  const std::string json = envelope(event);
  std::string out;
  out.reserve(json.size() + event.type.size() + 64);
  if (named) {
    out += "event: ";
    out += event.type;
    out += '\n';
  }
  if (event.durable()) {
    out += "id: ";
    out += to_text(event.cursor());
    out += '\n';
  }
  append_data(out, json);
  out += '\n';
  return out;
}

void append_error(std::string& out, const Error& error) {
  append_text_field(out, "code", info(error.code).name);
  append_text_field(out, "message", error.message());
  append_text_field(out, "hint", error.hint());
  if (!error.field.empty()) append_text_field(out, "field", error.field);
  if (error.retry_ms > 0) append_field(out, "retry_ms", fmt::format_int(error.retry_ms).str());
}

}  // namespace

std::string envelope(const Event& event) {
  std::string out;
  out.reserve(event.bytes() + 160);
  out += '{';
  if (event.durable()) out += fmt::format("\"id\":\"{}\",", to_text(event.cursor()));
  out += "\"topic\":";
  append_json_string(out, event.topic);
  if (event.durable()) append_field(out, "seq", fmt::format_int(event.seq).str());
  append_text_field(out, "type", event.type);
  append_text_field(out, "time", format_rfc3339(event.time));
  if (!event.data.empty()) append_field(out, "data", event.data);
  if (!event.notification.empty()) append_field(out, "notification", event.notification);
  if (!event.key.empty()) append_text_field(out, "key", event.key);
  if (event.expires) append_text_field(out, "expires", format_rfc3339(*event.expires));
  if (!event.keys.empty()) append_field(out, "keys", event.keys);
  if (event.is_refresh()) append_field(out, "spread_ms", fmt::format_int(event.spread_ms).str());
  if (!event.version.empty()) append_text_field(out, "version", event.version);
  out += '}';
  return out;
}

std::string sse_frame(const Event& event) { return sse(event, true); }
std::string sse_message_frame(const Event& event) { return sse(event, false); }
std::string json_line(const Event& event) { return envelope(event) + '\n'; }

// The `id` line alone moves EventSource's Last-Event-ID; without data nothing is dispatched.
// What EventSource has no field for stands in a comment, as on the other transports.
std::string sse_begin(const Welcome& welcome) {
  return fmt::format(": {}\nretry: {}\nid: {}\n\n", control_connected(welcome), welcome.retry_ms,
                     welcome.cursor);
}

std::string sse_heartbeat(std::string_view cursor, std::uint64_t written) {
  return fmt::format(": {}\nid: {}\n\n", control_heartbeat(cursor, written), cursor);
}

std::string sse_reset(ResetReason reason, std::string_view cursor) {
  return fmt::format(
      "event: reset\nid: {0}\ndata: {{\"control\":\"reset\",\"reason\":\"{1}\",\"cursor\":\"{0}\"}}\n\n",
      cursor, name_of(reason));
}

std::string sse_end(const Error& error) {
  std::string out = fmt::format("retry: {}\nevent: close\n", error.retry_ms);
  append_data(out, control_error(error));
  out += '\n';
  return out;
}

std::string control_connected(const Welcome& welcome) {
  std::string out = fmt::format("{{\"control\":\"connected\",\"cursor\":\"{}\"", welcome.cursor);
  if (!welcome.user.empty()) append_text_field(out, "user", welcome.user);
  append_field(out, "heartbeat_ms", fmt::format_int(welcome.heartbeat_ms).str());
  append_field(out, "retry_ms", fmt::format_int(welcome.retry_ms).str());
  if (welcome.ttl_ms) append_field(out, "ttl_ms", fmt::format_int(*welcome.ttl_ms).str());
  out += '}';
  return out;
}

std::string control_heartbeat(std::string_view cursor, std::uint64_t written) {
  return fmt::format("{{\"control\":\"heartbeat\",\"cursor\":\"{}\",\"written\":{}}}", cursor, written);
}

std::string control_reset(ResetReason reason, std::string_view cursor) {
  return fmt::format("{{\"control\":\"reset\",\"reason\":\"{}\",\"cursor\":\"{}\"}}", name_of(reason),
                     cursor);
}

std::string control_error(const Error& error, std::string_view request_id) {
  std::string out = "{\"control\":\"error\"";
  append_error(out, error);
  if (!request_id.empty()) append_text_field(out, "id", request_id);
  out += '}';
  return out;
}

std::string diagnose_answer(const std::vector<Finding>& findings) {
  std::string out = "{\"checks\":[";
  for (const Finding& finding : findings) {
    if (out.back() == '}') out += ',';
    out += fmt::format("{{\"name\":\"{}\",\"ok\":{}", finding.name, !finding.error);
    if (!finding.value.empty()) append_text_field(out, "value", finding.value);
    if (finding.error) append_error(out, *finding.error);
    out += '}';
  }
  return out + "]}";
}

std::string poll_body(std::string_view events_json, std::string_view cursor, std::string_view next,
                      std::uint32_t poll_after_ms) {
  std::string out = "{\"events\":[";
  out += events_json;
  out += ']';
  append_text_field(out, "cursor", cursor);
  append_text_field(out, "next", next);
  append_field(out, "poll_after_ms", fmt::format_int(poll_after_ms).str());
  out += '}';
  return out;
}

std::string poll_reset_body(std::string error_json, ResetReason reason, std::string_view cursor) {
  error_json.pop_back();
  append_text_field(error_json, "reason", name_of(reason));
  append_text_field(error_json, "cursor", cursor);
  error_json += '}';
  return error_json;
}

}  // namespace belfry::wire
