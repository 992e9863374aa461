// Publish bodies: what is accepted keeps the bounds, is written on every transport, and reads back the
// same.
#include "fuzz.h"
#include "wire/wire.h"

using namespace belfry;

namespace {

void check(const Event& event) {
  CHECK(check_topic(event.topic) && !has_wildcard(event.topic));
  CHECK(check_type(event.type) || event.is_refresh());
  CHECK(event.bytes() <= limits::event_bytes_max + 4096);
  CHECK(is_utf8(event.data) && event.data.find_first_of("\r\n") == std::string::npos);
  // One event is one event of the stream: its lines are `event:`, `id:`, `data:` and an empty one.
  const std::string frame = wire::sse_frame(event);
  CHECK(frame.ends_with("\n\n") && frame.find("\n\n") == frame.size() - 2);
  CHECK(frame.find('\r') == std::string::npos && frame.find('\0') == std::string::npos);
  const std::string line = wire::json_line(event);
  CHECK(line.find('\n') == line.size() - 1);
  wire::cloud_line(event);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto form = input.below(2) == 0 ? wire::BodyForm::json : wire::BodyForm::json_lines;
  const auto body = wire::parse_publish_body(input.rest(), form);
  if (!body) return 0;
  CHECK(!body.value().events.empty() && body.value().events.size() <= limits::batch_events_max);
  for (const Event& event : body.value().events) check(event);
  return 0;
}
