// The template form and conditions, on a record that the input brings too.
#include "fuzz.h"
#include "ingest/ingest.h"
#include "ingest/read_json.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto text = input.line(), when = input.line();
  const auto record = ingest::read_json(input.rest());
  const auto parsed = ingest::Template::parse(text);
  const auto condition = ingest::Condition::parse(when);
  if (!parsed) CHECK(parsed.error().code == Code::config_invalid);
  if (!record) return 0;
  if (condition) (void)condition.value().holds(record.value());
  if (parsed) {
    const auto topic = parsed.value().render(record.value(), ingest::Template::Use::topic);
    const bool plain = text.find("|") == std::string_view::npos &&
                       text.find('/') == std::string_view::npos &&
                       text.find("??") == std::string_view::npos;
    if (topic && plain) CHECK(topic.value().find('/') == std::string::npos);  // a value makes no segments
    (void)parsed.value().value(record.value());
  }
  ingest::MappingRule rule;
  rule.topic = std::string(text);
  rule.when = std::string(when);
  rule.data = R"({"all": "{a}", "b": ["{b.0 ?? 'x'}"]})";
  const auto mapping = ingest::Mapping::make({rule});
  if (!mapping) return 0;
  const auto events = mapping.value().events(record.value());
  if (events)
    for (const Event& event : events.value()) CHECK(check_topic(event.topic));
  return 0;
}
