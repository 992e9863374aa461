#include "wire/publish_body.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "wire/json_text.h"

namespace belfry::wire {
namespace {

namespace dom = simdjson::dom;

constexpr std::array<std::string_view, 10> kFields{"topic",   "type",      "data", "notification",
                                                   "key",     "expires",   "keys", "spread_ms",
                                                   "version", "deliver_at"};
constexpr std::size_t kDataField = 2;
constexpr std::size_t kDeliverAtField = 9;

struct Parsed {
  Event event;
  std::optional<Timestamp> deliver_at;
};

Error json_error(simdjson::error_code code) {
  switch (code) {
    case simdjson::DEPTH_ERROR:
      return fail(Code::too_deep);
    case simdjson::UTF8_ERROR:
      return fail(Code::bad_utf8);
    case simdjson::CAPACITY:
      return fail(Code::body_too_large);
    case simdjson::NUMBER_ERROR:
      return fail(Code::bad_json, "A number is malformed or out of range.");
    default:
      return fail(Code::bad_json, simdjson::error_message(code));
  }
}

// Puts where it happened in front of the field.
Error at(Error error, const std::string& path) {
  error.field = error.field.empty() ? path : path.empty() ? error.field : path + '.' + error.field;
  return error;
}

Result<std::string> text_of(dom::element value, std::string_view field, std::size_t bytes_max) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be a string.", std::string(field));
  if (text.size() > bytes_max)
    return fail(Code::bad_parameter, "It is longer than " + std::to_string(bytes_max) + " bytes.",
                std::string(field));
  return std::string(text);
}

std::string json_of(dom::element value) {
  std::string out;
  append_minified(out, simdjson::minify(value));
  return out;
}

Result<void> check_actions(dom::element value) {
  dom::array actions;
  if (value.get_array().get(actions) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be an array.", "actions");
  if (actions.size() > 4) return fail(Code::bad_parameter, "At most 4 actions.", "actions");
  for (dom::element item : actions) {
    dom::object action;
    if (item.get_object().get(action) != simdjson::SUCCESS)
      return fail(Code::wrong_type, "An action must be an object.", "actions");
    bool has_id = false, has_label = false;
    for (auto [name, member] : action) {
      if (name != "id" && name != "label" && name != "url")
        return fail(Code::unknown_field, {}, "actions." + std::string(name));
      if (!member.is_string())
        return fail(Code::wrong_type, "It must be a string.", "actions." + std::string(name));
      has_id |= name == "id";
      has_label |= name == "label";
    }
    if (!has_id || !has_label) return fail(Code::missing_field, "An action needs id and label.", "actions");
  }
  return {};
}

Result<std::string> notification_of(dom::element value) {
  dom::object notification;
  if (value.get_object().get(notification) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be an object.");
  bool has_title = false;
  for (auto [name, member] : notification) {
    if (name == "actions") {
      TRY(check_actions(member));
      continue;
    }
    constexpr std::array<std::string_view, 6> kTexts{"title", "body", "url", "icon", "tag", "priority"};
    if (std::find(kTexts.begin(), kTexts.end(), name) == kTexts.end())
      return fail(Code::unknown_field, {}, std::string(name));
    const std::string text = TRY(text_of(member, name, limits::event_bytes_max));
    if (name == "priority" && text != "low" && text != "normal" && text != "high")
      return fail(Code::bad_parameter, "It must be low, normal or high.", "priority");
    has_title |= name == "title" && !text.empty();
  }
  if (!has_title) return fail(Code::missing_field, "A notification needs a title.", "title");
  return json_of(value);
}

Result<std::string> keys_of(dom::element value) {
  dom::array keys;
  if (value.get_array().get(keys) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be an array of query keys.", "keys");
  if (keys.size() == 0 || keys.size() > limits::keys_max)
    return fail(Code::bad_parameter, "Between 1 and 32 query keys.", "keys");
  for (dom::element key : keys) {
    dom::array parts;
    if (key.get_array().get(parts) != simdjson::SUCCESS)
      return fail(Code::wrong_type, "A query key is an array.", "keys");
    for (dom::element part : parts)
      if (part.is_array() || part.is_object())
        return fail(Code::wrong_type, "The parts of a query key are strings, numbers, booleans or null.",
                    "keys");
  }
  return json_of(value);
}

Result<Timestamp> time_of(dom::element value, std::string_view field) {
  const std::string text = TRY(text_of(value, field, 64));
  const auto time = parse_rfc3339(text);
  if (!time) return fail(Code::bad_parameter, "It must be a time as in RFC 3339.", std::string(field));
  return *time;
}

Result<void> take_text(Event& event, std::size_t field, dom::element value) {
  switch (field) {
    case 0:
      event.topic = TRY(text_of(value, "topic", limits::body_bytes_max));
      break;
    case 1:
      event.type = TRY(text_of(value, "type", limits::body_bytes_max));
      break;
    case 4:
      event.key = TRY(text_of(value, "key", limits::key_bytes_max));
      break;
    case 5:
      event.expires = TRY(time_of(value, "expires"));
      break;
    default:
      event.version = TRY(text_of(value, "version", limits::key_bytes_max));
  }
  return {};
}

Result<void> take_field(Event& event, std::size_t field, dom::element value) {
  std::uint64_t number = 0;
  switch (field) {
    case kDataField:
      event.data = json_of(value);
      return {};
    case 3: {
      auto notification = notification_of(value);
      if (!notification) return at(std::move(notification).error(), "notification");
      event.notification = std::move(notification).value();
      return {};
    }
    case 6:
      event.keys = TRY(keys_of(value));
      return {};
    case 7:
      if (value.get_uint64().get(number) != simdjson::SUCCESS || number > limits::spread_ms_max)
        return fail(Code::bad_parameter, "It must be a number from 0 to 600000.", "spread_ms");
      event.spread_ms = static_cast<std::uint32_t>(number);
      return {};
    default:
      return take_text(event, field, value);
  }
}

Result<void> check_event(const Event& event, bool has_refresh_fields) {
  if (auto checked = check_topic(event.topic); !checked) return at(std::move(checked).error(), "topic");
  if (auto checked = check_type(event.type); !checked) return at(std::move(checked).error(), "type");
  if (event.is_refresh()) {
    if (event.keys.empty())
      return fail(Code::missing_field, "A refresh event names the query keys that are stale.", "keys");
    if (!event.data.empty()) return fail(Code::bad_parameter, "A refresh event carries no data.", "data");
  } else if (has_refresh_fields) {
    return fail(Code::bad_parameter, "keys, spread_ms and version belong to refresh events.", "keys");
  }
  if (event.bytes() > limits::event_bytes_max) return fail(Code::event_too_large);
  return {};
}

Result<Parsed> event_of(dom::element value) {
  dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "An event is an object.");
  Parsed parsed;
  Event& event = parsed.event;
  std::array<bool, kFields.size()> seen{};
  for (auto [name, member] : object) {
    const auto found = std::find(kFields.begin(), kFields.end(), name);
    if (found == kFields.end()) return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
    const auto field = static_cast<std::size_t>(found - kFields.begin());
    if (seen[field]) return fail(Code::bad_request, "The field is there twice.", std::string(name));
    seen[field] = true;
    if (field == kDeliverAtField) {
      parsed.deliver_at = TRY(time_of(member, "deliver_at"));
    } else {
      TRY(take_field(event, field, member));
    }
  }
  if (!seen[0]) return fail(Code::missing_field, {}, "topic");
  TRY(check_event(event, seen[6] || seen[7] || seen[8]));
  return parsed;
}

// In one body all events are scheduled, or none.
Result<void> add(PublishBody& body, Parsed parsed) {
  if (!body.events.empty() && parsed.deliver_at.has_value() == body.deliver_at.empty())
    return fail(Code::bad_parameter, "Either all events of a body are scheduled, or none.", "deliver_at");
  if (parsed.deliver_at) body.deliver_at.push_back(*parsed.deliver_at);
  body.events.push_back(std::move(parsed.event));
  return {};
}

Result<PublishBody> events_of(dom::array array) {
  PublishBody body;
  if (array.size() == 0) return fail(Code::batch_empty);
  if (array.size() > limits::batch_events_max) return fail(Code::batch_too_large);
  for (dom::element item : array) {
    const std::string path = "events[" + std::to_string(body.events.size()) + "]";
    auto event = event_of(item);
    if (!event) return at(std::move(event).error(), path);
    auto added = add(body, std::move(event).value());
    if (!added) return at(std::move(added).error(), path);
  }
  return body;
}

dom::parser& parser() {
  thread_local dom::parser made(limits::body_bytes_max + 1);
  return made;
}

Result<dom::element> parse(std::string_view text) {
  if (parser().max_depth() != limits::json_depth_max &&
      parser().allocate(limits::body_bytes_max + 1, limits::json_depth_max) != simdjson::SUCCESS)
    return fail(Code::overloaded);
  dom::element root;
  const auto code = parser().parse(text.data(), text.size(), true).get(root);
  if (code != simdjson::SUCCESS) return json_error(code);
  return root;
}

Result<PublishBody> parse_lines(std::string_view text) {
  PublishBody body;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string path = "events[" + std::to_string(body.events.size()) + "]";
    if (body.events.size() == limits::batch_events_max) return fail(Code::batch_too_large);
    auto root = parse(line);
    if (!root) return at(std::move(root).error(), path);
    auto event = event_of(root.value());
    if (!event) return at(std::move(event).error(), path);
    auto added = add(body, std::move(event).value());
    if (!added) return at(std::move(added).error(), path);
  }
  if (body.events.empty()) return fail(Code::batch_empty);
  return body;
}

}  // namespace

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
}

Result<PublishBody> parse_publish_body(std::string_view body, BodyForm form) {
  if (form == BodyForm::json_lines) return parse_lines(body);
  const dom::element root = TRY(parse(body));
  dom::array array;
  if (root.get_array().get(array) == simdjson::SUCCESS) return events_of(array);
  PublishBody out;
  Parsed parsed = TRY(event_of(root));
  TRY(add(out, std::move(parsed)));
  return out;
}

}  // namespace belfry::wire
