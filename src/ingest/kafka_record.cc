#include "ingest/kafka_record.h"

#include "ingest/cloud_event.h"
#include "ingest/path.h"
#include "ingest/read_json.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

// With the converter's schemas switched on, everything stands under `payload`.
const json::value& payload_of(const json::value& value) {
  const auto* payload = member(value, "payload");
  return payload != nullptr && member(value, "schema") != nullptr ? *payload : value;
}

// Numbers too.
std::string text_member(const json::value& value, std::string_view name) {
  const auto* found = member(value, name);
  return found == nullptr || found->is_null() ? std::string() : text_of(*found);
}

std::string header(const KafkaRecord& record, std::string_view name) {
  for (const auto& [known, value] : record.headers)
    if (known == name) return value;
  return {};
}

json::object common(const KafkaRecord& record) {
  json::object headers;
  for (const auto& [name, value] : record.headers)
    if (is_utf8(name) && is_utf8(value)) headers[name] = value;
  json::object out{{"topic", record.topic}, {"partition", record.partition}, {"offset", record.offset}};
  if (record.timestamp_ms >= 0) out["timestamp"] = format_rfc3339(Timestamp{Duration{record.timestamp_ms}});
  if (record.key && is_utf8(*record.key)) {
    auto parsed = read_json(*record.key);
    out["key"] = parsed && !parsed.value().is_number() ? parsed.value() : json::value(*record.key);
  }
  out["headers"] = std::move(headers);
  return out;
}

Result<void> add_cloud_event(json::object& out, const KafkaRecord& record) {
  const std::string type = header(record, "content-type");
  if (type.starts_with("application/cloudevents")) {
    out["event"] = TRY(read_json(*record.value));
  } else {
    json::object event;
    for (const auto& [name, value] : record.headers)
      if (name.starts_with("ce_") && is_utf8(name) && is_utf8(value)) event[name.substr(3)] = value;
    if (event.empty())
      return fail(Code::missing_field, "It has neither the content type nor the headers of a CloudEvent.");
    TRY(add_data(event, type.empty() ? "application/json" : type, *record.value));
    out["event"] = std::move(event);
  }
  return check_cloud_event(out["event"]);
}

// The key's columns, with commas; or the column `id`.
std::string id_of(const KafkaRecord& record, const json::value& row) {
  std::string out;
  if (record.key) {
    const auto parsed = read_json(*record.key);
    if (parsed)
      if (const auto* columns = payload_of(parsed.value()).if_object())
        for (const auto& column : *columns) out += (out.empty() ? "" : ",") + text_of(column.value());
  }
  return out.empty() ? text_member(row, "id") : out;
}

Result<bool> add_change(json::object& out, const KafkaRecord& record) {
  const json::value whole = TRY(read_json(*record.value));
  const json::value& change = payload_of(whole);
  const std::string op = text_member(change, "op");
  const std::string_view operation = op == "c"   ? "insert"
                                     : op == "r" ? "read"
                                     : op == "u" ? "update"
                                     : op == "d" ? "delete"
                                     : op == "t" ? "truncate"
                                                 : "";
  if (op.empty() && member(change, "ts_ms") != nullptr) return false;  // a heartbeat
  if (operation.empty()) return fail(Code::missing_field, "It is not an envelope of Debezium's.", "op");
  const auto* source = member(change, "source");
  out["op"] = operation;
  if (source != nullptr) {
    out["source"] = *source;
    out["schema"] = text_member(*source, "schema");
    out["table"] = text_member(*source, "table");
  }
  const json::value nothing;
  const auto* before = member(change, "before");
  const auto* after = member(change, "after");
  if (before != nullptr && !before->is_null()) out["before"] = *before;
  if (after != nullptr && !after->is_null()) out["after"] = *after;
  const json::value& row = out.contains("after")    ? out["after"]
                           : out.contains("before") ? out["before"]
                                                    : nothing;
  const std::string id = id_of(record, row);
  out["id"] = id.empty() && operation == "truncate" ? std::string("*") : id;
  const json::value copy = row;
  out["row"] = copy;
  const auto* time = member(change, "ts_ms");
  constexpr std::int64_t kTimeMax = 253'402'300'799'999;  // the year 9999
  if (time != nullptr && time->is_int64() && time->get_int64() >= 0 && time->get_int64() <= kTimeMax)
    out["time"] = format_rfc3339(Timestamp{Duration{time->get_int64()}});
  return true;
}

}  // namespace

Result<std::optional<json::value>> kafka_record(std::string_view format, const KafkaRecord& record) {
  json::object out = common(record);
  if (!record.value) return std::optional<json::value>{};
  if (format == "cloudevents") {
    TRY(add_cloud_event(out, record));
  } else if (format == "debezium") {
    if (!TRY(add_change(out, record))) return std::optional<json::value>{};
  } else if (format == "text") {
    if (!is_utf8(*record.value)) return fail(Code::bad_utf8);
    out["value"] = *record.value;
  } else {
    out["value"] = TRY(read_json(*record.value));
  }
  return std::optional<json::value>(json::value(std::move(out)));
}

}  // namespace belfry::ingest
