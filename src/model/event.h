#pragma once
// An event: what happened, to one topic. Maps one to one to CloudEvents 1.0 (id, type, subject = topic,
// time, data).
//
// Values; any thread. JSON parts are kept as valid, minified JSON text, so that they are parsed once, on
// the way in.

#include <optional>
#include <string>
#include <string_view>

#include "base/base.h"
#include "model/cursor.h"

namespace belfry {

inline constexpr std::string_view refresh_type = "refresh";
inline constexpr std::string_view default_type = "message";

struct Event {
  // Given by the log. An ephemeral event has offset and seq 0.
  Epoch epoch;
  Offset offset = 0;
  Seq seq = 0;
  Timestamp time;

  // Given by the publisher.
  std::string topic;
  std::string type{default_type};
  std::string data;          // JSON, or empty: absent
  std::string notification;  // a JSON object, or empty: absent
  std::string key;           // a later event of the same topic and key replaces this one; empty: none
  std::optional<Timestamp> expires;

  // Refresh events only: a JSON array of query keys, the time over which clients should spread their GETs,
  // and the version of the data that a GET will show.
  std::string keys;
  std::uint32_t spread_ms = 0;
  std::string version;

  bool operator==(const Event&) const = default;

  bool durable() const { return offset != 0; }
  bool is_refresh() const { return type == refresh_type; }
  bool expired(Timestamp now) const { return expires && *expires <= now; }
  Cursor cursor() const { return {epoch, offset}; }
  // Bytes of its texts; what limits::event_bytes_max and the tail's bound count.
  std::size_t bytes() const;
};

bool accepts(const struct Selector& selector, const Event& event);
// As accepts(), for an event whose topic is known to match.
bool accepts_kind(const Selector& selector, const Event& event);

}  // namespace belfry
