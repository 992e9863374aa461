// CloudEvents: structured, in batches, in binary mode.
#include "fuzz.h"
#include "wire/wire.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = input.below(3);
  Result<wire::CloudEvents> events = fail(Code::bad_json);
  if (kind == 0) events = wire::parse_cloud_event(input.rest());
  if (kind == 1) events = wire::parse_cloud_batch(input.rest());
  if (kind == 2) {
    std::vector<std::pair<std::string, std::string>> headers;
    while (!input.empty() && headers.size() < 8) {
      const auto line = input.line();
      if (line.empty()) break;
      const auto colon = line.find(':');
      if (colon != std::string_view::npos)
        headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
    }
    const auto find = [&](std::string_view name) -> std::optional<std::string_view> {
      for (const auto& [key, value] : headers)
        if (key == name) return value;
      return std::nullopt;
    };
    events = wire::parse_cloud_binary(find, input.rest());
  }
  if (!events) return 0;
  CHECK(events.value().events.size() == events.value().keys.size());
  for (Event event : events.value().events) {
    CHECK(check_topic(event.topic));
    event.offset = event.seq = 1;
    CHECK(wire::cloud_line(event).ends_with("\n"));
  }
  return 0;
}
