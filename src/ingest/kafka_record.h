#pragma once
// Records of Kafka as templates see them: JSON, text, CloudEvents (Kafka binding 1.0.2, structured and
// binary) and Debezium's envelope.
//
// Values; any thread. Bytes come from outside: what does not fit is an error, and the record a dead letter.

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/base.h"

namespace belfry::ingest {

struct KafkaRecord {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;  // -1: none
  std::optional<std::string_view> key{}, value{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

// Always {topic, partition, offset, timestamp, key, headers}, and
//   json         value           text         value, as text
//   cloudevents  event           debezium     op, schema, table, id, before, after, row, source, time
// Nothing: there is nothing in it to tell (a tombstone, a heartbeat of Debezium's).
Result<std::optional<boost::json::value>> kafka_record(std::string_view format, const KafkaRecord& record);

}  // namespace belfry::ingest
