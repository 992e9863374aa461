#pragma once
// The body of POST /v1/events to events. The only place that knows the names of a publish request.
//
//   {"topic":"bookings/7", "type":"booking.confirmed", "data":…, "notification":{…}, "key":"…",
//   "expires":"RFC 3339"}
//   {"topic":"bookings/7", "type":"refresh", "keys":[["bookings"],["booking","7"]], "spread_ms":2000,
//   "version":"…"}
//
// With "deliver_at":"RFC 3339" the event is published then; in one body all are, or none.
// Or an array of those, or one a line (application/x-ndjson). Any thread.

#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry::wire {

// An idempotency key has no control characters: that of a CloudEvent is its source, a newline and its id.
bool has_control_character(std::string_view text);

enum class BodyForm { json, json_lines };

struct PublishBody {
  std::vector<Event> events;
  std::vector<Timestamp> deliver_at;  // as many as events, or none
};

// All or nothing: the first event that is wrong refuses the whole body, and the error's field names it
// ("events[3].topic" in a batch, "topic" otherwise). Data is validated and minified; numbers are written in
// their shortest form.
Result<PublishBody> parse_publish_body(std::string_view body, BodyForm form);

}  // namespace belfry::wire
