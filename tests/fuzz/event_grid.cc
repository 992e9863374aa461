// What Azure Event Grid sends, and CloudEvents over HTTP.
#include "webhook_harness.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto grid = fuzz::webhook("event-grid", ""), cloud = fuzz::webhook("cloudevents", "");
  fuzz::Input input(data, size);
  const auto choice = input.byte();
  const auto headers = fuzz::headers_of(input);
  const std::pair<std::string, std::string> query[] = {
      {"key", std::string(choice & 2 ? "wrong" : fuzz::webhook_secret)}};
  const auto& webhook = choice & 1 ? cloud : grid;
  const auto answer = webhook->take(
      {choice & 4 ? "OPTIONS" : "POST", headers, query, input.rest(), Timestamp{Duration{1000}}});
  if (!answer) return 0;
  CHECK(!(choice & 2));  // nothing passes without the key
  const PublishRequest& request = answer.value().request;
  CHECK(request.events.size() == request.event_keys.size());
  for (const Event& event : request.events) CHECK(check_topic(event.topic) && check_type(event.type));
  for (const auto& key : request.event_keys) CHECK(key.size() <= limits::idempotency_key_bytes_max);
  return 0;
}
