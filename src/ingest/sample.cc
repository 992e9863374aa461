#include "ingest/sample.h"

#include <boost/json/serialize.hpp>

#include "ingest/kafka_record.h"
#include "ingest/path.h"
#include "ingest/read_json.h"
#include "ingest/webhook.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

Result<std::vector<json::value>> values_of(std::string_view text) {
  if (auto whole = read_json(text)) return std::vector<json::value>{std::move(whole).value()};
  std::vector<json::value> out;
  std::size_t line = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view one = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++line;
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto value = read_json(one);
    if (!value) {
      Error error = std::move(value).error();
      error.field = "line " + std::to_string(line);
      return error;
    }
    out.push_back(std::move(value).value());
  }
  return out;
}

bool has(const json::value& value, std::string_view name) { return member(value, name) != nullptr; }

// A Kafka record from its value alone, or with what else it has.
Result<std::optional<json::value>> kafka_sample(const SourceConfig& config, const json::value& sample) {
  const bool whole =
      has(sample, "value") && (has(sample, "key") || has(sample, "headers") || has(sample, "topic"));
  const auto part = [&](std::string_view name) -> std::optional<std::string> {
    if (!whole || !has(sample, name) || sample.at(name).is_null()) return {};
    return text_of(sample.at(name));
  };
  const auto key = part("key"), topic = part("topic");
  const auto value = whole ? part("value") : std::optional<std::string>(text_of(sample));
  KafkaRecord record;
  const std::string first_topic = config.list("topics").front();
  record.topic = topic ? *topic : first_topic;
  if (key) record.key = *key;
  if (value) record.value = *value;
  if (whole && has(sample, "headers") && sample.at("headers").is_object())
    for (const auto& one : sample.at("headers").get_object())
      record.headers.emplace_back(one.key(), text_of(one.value()));
  if (!whole && config.text("format") == "cloudevents")
    record.headers.emplace_back("content-type", "application/cloudevents+json");
  return kafka_record(config.text("format"), record);
}

json::value table_sample(const SourceConfig& config, const json::value& sample) {
  if (has(sample, "row")) return sample;
  const std::string table = config.text("table");
  json::object out{{"table", table.substr(table.find('.') + 1)}, {"row", sample}};
  if (has(sample, config.text("id"))) out["id"] = text_of(sample.at(config.text("id")));
  return json::value(std::move(out));
}

}  // namespace

Result<std::vector<json::value>> sample_records(const SourceConfig& config, std::string_view sample) {
  std::vector<json::value> out;
  const auto samples = TRY(values_of(sample));
  for (const json::value& one : samples) {
    if (config.kind == "kafka") {
      if (auto record = TRY(kafka_sample(config, one))) out.push_back(std::move(*record));
    } else if (config.kind == "postgres-outbox") {
      out.push_back(json::object{{"value", one}});
    } else if (config.kind == "postgres-table") {
      out.push_back(table_sample(config, one));
    } else if (config.kind == "webhook") {
      out.push_back(json::object{{"body", one}, {"headers", json::object{}}, {"query", json::object{}}});
    } else if (config.kind == "cloudevents" || config.kind == "event-grid") {
      const json::array single{one};
      for (const json::value& event : one.is_array() ? one.get_array() : single)
        out.push_back(config.kind == "event-grid" ? grid_record(event)
                                                  : json::value(json::object{{"event", event}}));
    } else {
      out.push_back(one);
    }
  }
  return out;
}

}  // namespace belfry::ingest
