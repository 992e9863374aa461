#include "wire/cloud_event.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <unordered_set>

#include "base/hash.h"
#include "wire/json_text.h"
#include "wire/publish_body.h"

namespace belfry::wire {
namespace {

namespace dom = simdjson::dom;

Result<std::string> text_of(dom::element value, std::string_view name) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be a string.", std::string(name));
  return std::string(text);
}

std::string minified(dom::element value) {
  std::string out;
  append_minified(out, simdjson::minify(value));
  return out;
}

// The attributes that matter, from wherever they come, as the members of a publish body: so one place
// checks events.
class Attributes {
 public:
  Result<void> take_text(std::string_view name, std::string text) {
    if (name == "specversion") {
      if (text != "1.0") return fail(Code::bad_parameter, "It must be 1.0.", "specversion");
      version_ = true;
    } else if (name == "id") {
      id_ = std::move(text);
    } else if (name == "source") {
      source_ = std::move(text);
    } else if (name == "subject") {
      add_text("topic", text);
    } else if (name == "type" || name == "belfrykey" || name == "expirytime") {
      add_text(name == "type" ? "type" : name == "belfrykey" ? "key" : "expires", text);
    } else if (name == "notification") {
      add("notification", text);
    }
    return {};
  }

  void add(std::string_view name, std::string_view json) {
    if (!body_.empty()) body_ += ',';
    body_ += fmt::format("\"{}\":{}", name, json);
  }
  void add_text(std::string_view name, std::string_view text) {
    std::string json;
    append_json_string(json, text);
    add(name, json);
  }

  Result<void> finish(CloudEvents& out) const {
    if (!version_) return fail(Code::missing_field, {}, "specversion");
    if (id_.empty()) return fail(Code::missing_field, {}, "id");
    if (source_.empty()) return fail(Code::missing_field, {}, "source");
    if (id_.size() + source_.size() > limits::idempotency_key_bytes_max)
      return fail(Code::bad_parameter, "Id and source are longer than 255 bytes together.", "id");
    if (has_control_character(id_) || has_control_character(source_))
      return fail(Code::bad_parameter, "It holds a control character.",
                  has_control_character(id_) ? "id" : "source");
    auto parsed = parse_publish_body("{" + body_ + "}", BodyForm::json);
    if (!parsed) {
      Error error = std::move(parsed).error();
      if (error.field == "topic") error.field = "subject";
      return error;
    }
    out.events.push_back(std::move(parsed.value().events.front()));
    out.keys.push_back(source_ + "\n" + id_);
    return {};
  }

 private:
  std::string body_, id_, source_;
  bool version_ = false;
};

Result<void> take_event(dom::element value, CloudEvents& out) {
  dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "An event is an object.");
  Attributes attributes;
  std::unordered_set<std::string_view, KeyedHash> seen;  // there may be very many attributes
  for (auto [name, member] : object) {
    if (!seen.insert(name).second)
      return fail(Code::bad_request, "The field is there twice.", std::string(name.substr(0, 64)));
    if (name == "data") {
      attributes.add("data", minified(member));
    } else if (name == "data_base64") {
      const std::string text = TRY(text_of(member, name));
      attributes.add_text("data", text);
    } else if (name == "notification" && member.is_object()) {
      attributes.add("notification", minified(member));
    } else if (member.is_string()) {
      std::string text = TRY(text_of(member, name));
      TRY(attributes.take_text(name, std::move(text)));
    } else if (name == "specversion" || name == "id" || name == "source" || name == "type" ||
               name == "subject") {
      return fail(Code::wrong_type, "It must be a string.", std::string(name));
    }
  }
  return attributes.finish(out);
}

Result<dom::element> parse(std::string_view body) {
  thread_local dom::parser parser(limits::body_bytes_max + 1);
  dom::element root;
  const auto code = parser.parse(body.data(), body.size(), true).get(root);
  if (code != simdjson::SUCCESS)
    return fail(code == simdjson::UTF8_ERROR ? Code::bad_utf8 : Code::bad_json,
                simdjson::error_message(code));
  return root;
}

}  // namespace

Result<CloudEvents> parse_cloud_event(std::string_view body) {
  const dom::element root = TRY(parse(body));
  CloudEvents out;
  TRY(take_event(root, out));
  return out;
}

Result<CloudEvents> parse_cloud_batch(std::string_view body) {
  const dom::element root = TRY(parse(body));
  dom::array array;
  if (root.get_array().get(array) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "A batch is an array of events.");
  if (array.size() == 0) return fail(Code::batch_empty);
  if (array.size() > limits::batch_events_max) return fail(Code::batch_too_large);
  CloudEvents out;
  for (dom::element item : array) {
    auto taken = take_event(item, out);
    if (taken) continue;
    Error error = std::move(taken).error();
    const std::string path = "events[" + std::to_string(out.events.size()) + "]";
    error.field = error.field.empty() ? path : path + "." + error.field;
    return error;
  }
  return out;
}

Result<CloudEvents> parse_cloud_binary(const Header& header, std::string_view body) {
  Attributes attributes;
  for (const std::string_view name :
       {"specversion", "id", "source", "subject", "type", "belfrykey", "expirytime", "notification"})
    if (const auto value = header("ce-" + std::string(name)))
      TRY(attributes.take_text(name, std::string(*value)));
  const auto type = header("content-type").value_or("application/json");
  const auto media = type.substr(0, type.find(';'));
  if (!body.empty() && (media == "application/json" || media.ends_with("+json"))) {
    const dom::element root = TRY(parse(body));
    attributes.add("data", minified(root));
  } else if (!body.empty()) {
    if (!is_utf8(body)) return fail(Code::bad_utf8);
    attributes.add_text("data", body);
  }
  CloudEvents out;
  TRY(attributes.finish(out));
  return out;
}

std::string cloud_event(const Event& event) {
  const std::string id = event.durable() ? to_text(event.cursor())
                                         : fmt::format("ephemeral.{}.{:x}", event.time.value.count(),
                                                       keyed_hash(event.topic + event.type + event.data));
  std::string out = fmt::format("{{\"specversion\":\"1.0\",\"id\":\"{}\",\"source\":\"belfry\"", id);
  const auto add = [&out](std::string_view name, std::string_view text) {
    out += fmt::format(",\"{}\":", name);
    append_json_string(out, text);
  };
  add("type", event.type);
  add("subject", event.topic);
  add("time", format_rfc3339(event.time));
  if (event.durable()) add("sequence", std::to_string(event.seq));
  if (event.expires) add("expirytime", format_rfc3339(*event.expires));
  if (!event.key.empty()) add("belfrykey", event.key);
  if (!event.notification.empty()) add("notification", event.notification);
  if (event.is_refresh()) {
    out += ",\"datacontenttype\":\"application/json\",\"data\":{\"keys\":" + event.keys;
    out += fmt::format(",\"spread_ms\":{}", event.spread_ms);
    if (!event.version.empty()) add("version", event.version);
    out += '}';
  } else if (!event.data.empty()) {
    out += ",\"datacontenttype\":\"application/json\",\"data\":" + event.data;
  }
  return out + '}';
}

std::string cloud_line(const Event& event) { return cloud_event(event) + '\n'; }

std::string cloud_sse_frame(const Event& event) {
  std::string out = "event: " + event.type + '\n';
  if (event.durable()) out += "id: " + to_text(event.cursor()) + '\n';
  return out + "data: " + cloud_event(event) + "\n\n";
}

}  // namespace belfry::wire
