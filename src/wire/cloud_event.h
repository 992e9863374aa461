#pragma once
// CloudEvents 1.0 in JSON: what comes in structured, in batches and in binary mode, and our events as such.
// The only place that knows those names.
//
//   subject -> topic      type -> type      data -> data      expirytime (extension) -> expires
//   notification (extension): our notification, as an object or as its JSON text
//   belfrykey (extension) -> key            id, source: the same pair within a day is the same event
//
// Other extensions are not kept. Data that is not JSON becomes a JSON string. Any thread.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry::wire {

struct CloudEvents {
  std::vector<Event> events;
  std::vector<std::string> keys;  // of each: source and id
};

// One structured event, or a batch. All or nothing, as parse_publish_body.
Result<CloudEvents> parse_cloud_event(std::string_view body);
Result<CloudEvents> parse_cloud_batch(std::string_view body);
// Binary mode (HTTP binding section 3.1): attributes are headers `ce-…`, the body is the data.
using Header = std::function<std::optional<std::string_view>(std::string_view name)>;
Result<CloudEvents> parse_cloud_binary(const Header& header, std::string_view body);

// {"specversion":"1.0","id":…,"source":"belfry","type":…,"subject":…,…}
std::string cloud_event(const Event& event);
std::string cloud_line(const Event& event);
std::string cloud_sse_frame(const Event& event);

}  // namespace belfry::wire
