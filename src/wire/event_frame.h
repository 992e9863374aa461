#pragma once
// An event as bytes on each transport. The only place that knows the names of an event on the wire.
//
// The envelope, the same on all transports:
//   {"id":"<cursor>","topic":"bookings/7","seq":3,"type":"booking.confirmed",
//    "time":"2026-11-21T04:00:00.000Z",
//    "data":…,"notification":{…},"key":"…","expires":"…","keys":[…],"spread_ms":2000,"version":"…"}
// Absent parts are left out; an ephemeral event has no id and no seq. Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry::wire {

std::string envelope(const Event& event);

// `event:`, `id:` (not for ephemeral ones), `data:` and an empty line (WHATWG HTML section 9.2).
// sse_message: without the `event:` line, so that plain onmessage hears it.
std::string sse_frame(const Event& event);
std::string sse_message_frame(const Event& event);
// The envelope and a line feed (NDJSON).
std::string json_line(const Event& event);

// What a stream tells its client first. The token's time is relative, so a wrong clock of the client does
// no harm; retry_ms is when this client comes back should the stream break without a word.
struct Welcome {
  std::string cursor;
  std::string user;  // empty: a backend
  std::uint32_t heartbeat_ms = 0;
  std::uint32_t retry_ms = 0;
  std::optional<std::uint64_t> ttl_ms{};
};

// Messages about the stream itself. On SSE `reset` is an event of that name; on WebSocket and NDJSON every
// message has a "control" field, which events never have.
std::string sse_begin(const Welcome& welcome);
std::string sse_heartbeat(std::string_view cursor, std::uint64_t written);
std::string sse_reset(ResetReason reason, std::string_view cursor);
// The last event of a stream that the server ends, with the time after which EventSource comes back.
std::string sse_end(const Error& error);

std::string control_connected(const Welcome& welcome);
std::string control_heartbeat(std::string_view cursor, std::uint64_t written);
std::string control_reset(ResetReason reason, std::string_view cursor);
std::string control_error(const Error& error, std::string_view request_id = {});

// The answer to a poll: {"events":[…],"cursor":"…","next":"/v1/events?…","poll_after_ms":5000}.
// One thing that was looked at, and what is wrong with it.
struct Finding {
  std::string_view name;  // server, origin, token, topic
  std::string value;      // the origin, the user, the topic
  std::optional<Error> error;
};
// {"checks":[{"name","ok","value"?,"code"?,"message"?,"hint"?,…}]}
std::string diagnose_answer(const std::vector<Finding>& findings);

std::string poll_body(std::string_view events_json, std::string_view cursor, std::string_view next,
                      std::uint32_t poll_after_ms);

// The 410 of a poll: the catalogue's error, and what a stream would have been told in band.
std::string poll_reset_body(std::string error_json, ResetReason reason, std::string_view cursor);

}  // namespace belfry::wire
