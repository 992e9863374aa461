#include "ingest/mapping.h"

#include <boost/json/parse.hpp>

#include "ingest/read_json.h"
#include "wire/wire.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

// Puts where it happened in front of the field.
Error at(Error error, const std::string& path) {
  error.field = error.field.empty() ? path : path + "." + error.field;
  return error;
}

// Checks the templates in a JSON value.
Result<void> check_templates(const json::value& value) {
  if (const auto* text = value.if_string()) {
    (void)TRY(Template::parse(*text));
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) TRY(check_templates(item));
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) TRY(check_templates(member.value()));
  }
  return {};
}

Result<json::value> filled(const json::value& value, const json::value& record) {
  if (const auto* text = value.if_string()) return TRY(Template::parse(*text)).value(record);
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(TRY(filled(item, record)));
    return json::value(std::move(out));
  }
  if (const auto* object = value.if_object()) {
    json::object out;
    for (const auto& member : *object) out[member.key()] = TRY(filled(member.value(), record));
    return json::value(std::move(out));
  }
  return value;
}

}  // namespace

Mapping Mapping::publish_body(std::string_view path) {
  Mapping out;
  auto read = Path::read(path);
  CHECK(read);
  out.body_ = std::move(read).value();
  return out;
}

Mapping Mapping::cloud_event(std::string_view path) {
  Mapping out = publish_body(path);
  out.cloud_event_ = true;
  return out;
}

Result<Mapping::Rule> Mapping::compile(const MappingRule& rule) {
  Rule out;
  out.spread_ms = rule.spread_ms;
  if (!rule.when.empty()) {
    auto when = Condition::parse(rule.when);
    if (!when) return at(std::move(when).error(), "when");
    out.when = std::move(when).value();
  }
  if (rule.topic.empty()) return fail(Code::config_invalid, "A rule needs a topic.", "topic");
  const std::pair<std::string, const std::string&> texts[] = {{"topic", rule.topic},
                                                              {"type", rule.type},
                                                              {"key", rule.key},
                                                              {"expires", rule.expires},
                                                              {"version", rule.version}};
  for (const auto& [name, text] : texts) {
    if (text.empty()) continue;
    auto parsed = Template::parse(text);
    if (!parsed) return at(std::move(parsed).error(), name);
    out.texts.emplace_back(name, std::move(parsed).value());
  }
  const std::pair<std::string, const std::string&> values[] = {
      {"data", rule.data}, {"notification", rule.notification}, {"keys", rule.keys}};
  for (const auto& [name, text] : values) {
    if (text.empty()) continue;
    boost::system::error_code failed;
    json::value value = json::parse(text, failed);
    if (failed) return fail(Code::config_invalid, "It is not JSON.", name);
    if (auto checked = check_templates(value); !checked) return at(std::move(checked).error(), name);
    out.values.emplace_back(name, std::move(value));
  }
  return out;
}

Result<Mapping> Mapping::make(const std::vector<MappingRule>& rules) {
  Mapping out;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    auto rule = compile(rules[i]);
    if (!rule) return at(std::move(rule).error(), "map[" + std::to_string(i) + "]");
    out.rules_.push_back(std::move(rule).value());
  }
  return out;
}

Result<Event> Mapping::apply(const Rule& rule, const json::value& record) {
  json::object body;
  for (const auto& [name, text] : rule.texts) {
    auto rendered = text.render(record, name == "topic" ? Template::Use::topic : Template::Use::text);
    if (!rendered) return at(std::move(rendered).error(), name);
    if (!rendered.value().empty()) body[name] = std::move(rendered).value();
  }
  for (const auto& [name, value] : rule.values) {
    auto made = filled(value, record);
    if (!made) return at(std::move(made).error(), name);
    body[name] = std::move(made).value();
  }
  if (rule.spread_ms > 0) body["spread_ms"] = rule.spread_ms;
  const std::string text = write_json(json::value(std::move(body)));
  if (text.size() > limits::body_bytes_max) return fail(Code::event_too_large);
  auto parsed = TRY(wire::parse_publish_body(text, wire::BodyForm::json));
  return std::move(parsed.events.front());
}

Result<std::vector<Event>> Mapping::whole(const json::value& record) const {
  const json::value* body = body_->in(record);
  if (body == nullptr) return fail(Code::missing_field, "The record has no " + body_->text() + ".");
  const std::string text = write_json(*body);
  if (text.size() > limits::body_bytes_max) return fail(Code::body_too_large);
  if (cloud_event_) return TRY(wire::parse_cloud_event(text)).events;
  auto parsed = TRY(wire::parse_publish_body(text, wire::BodyForm::json));
  if (!parsed.deliver_at.empty())
    return fail(Code::bad_parameter, "What a source brings cannot be scheduled.", "deliver_at");
  return std::move(parsed.events);
}

Result<std::vector<Event>> Mapping::events(const json::value& record) const {
  if (body_) return whole(record);
  std::vector<Event> out;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i].when.holds(record)) continue;
    auto event = apply(rules_[i], record);
    if (!event) return at(std::move(event).error(), "map[" + std::to_string(i) + "]");
    out.push_back(std::move(event).value());
  }
  return out;
}

std::string shown(const json::value& record) {
  std::string text = write_json(record);
  if (text.size() > limits::event_bytes_max) text.resize(limits::event_bytes_max);
  while (!is_utf8(text)) text.pop_back();  // it may be cut within a character
  return text;
}

}  // namespace belfry::ingest
