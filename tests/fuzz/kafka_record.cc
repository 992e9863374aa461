// Records of Kafka in every format, and what their default mappings make of them.
#include "ingest/kafka_record.h"
#include "fuzz.h"
#include "ingest/ingest.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  static constexpr std::string_view kFormats[] = {"json", "cloudevents", "debezium", "text"};
  const auto format = kFormats[input.below(4)];
  ingest::KafkaRecord record;
  record.topic = "orders";
  const auto key = input.line();
  if (!key.empty()) record.key = key;
  while (!input.empty() && record.headers.size() < 8) {
    const auto line = input.line();
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon != std::string_view::npos)
      record.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  record.value = input.rest();
  const auto made = ingest::kafka_record(format, record);
  if (!made || !made.value()) return 0;
  static const std::vector<ingest::Mapping> mappings = [] {
    std::vector<ingest::Mapping> out;
    for (const auto one : kFormats) {
      ingest::SourceConfig config;
      config.name = "fuzz";
      config.kind = "kafka";
      config.settings["format"] = {std::string(one)};
      out.push_back(ingest::mapping_of(config).value());
    }
    return out;
  }();
  const auto at =
      static_cast<std::size_t>(std::find(std::begin(kFormats), std::end(kFormats), format) - kFormats);
  const auto events = mappings[at].events(*made.value());
  if (!events) return 0;
  for (const Event& event : events.value()) CHECK(check_topic(event.topic) && check_type(event.type));
  return 0;
}
