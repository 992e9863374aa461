#pragma once
// Topics, patterns over topics, and event types: the grammar of names (DESIGN: words).
//
//   topic    bookings/7        1 to 8 segments of [A-Za-z0-9._~@:%-] joined by '/', at most 255 bytes
//   pattern  bookings/+  a/#   as a topic; a segment '+' stands for any one segment, a last segment '#' for
//   the
//                              rest, none included (MQTT 5 section 4.7: "a/#" also matches "a")
//   type     booking.confirmed 1 to 64 of [A-Za-z0-9._-], not one of the reserved names
//   type pattern               as a pattern, with '.' between segments: payment.#
//
// Values; any thread.

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"

namespace belfry {

// Code::bad_topic, bad_pattern or bad_type with the reason as detail.
Result<void> check_topic(std::string_view topic);
Result<void> check_pattern(std::string_view pattern);
Result<void> check_type(std::string_view type);
Result<void> check_type_pattern(std::string_view pattern);

// Names that mean something else on a transport (EventSource dispatches `open` and `error` itself), and
// `belfry.`…, the types of events that Belfry itself writes.
bool is_reserved_type(std::string_view type);

bool has_wildcard(std::string_view pattern);
// REQUIRES: both well formed. `separator` is '/' for topics, '.' for types. Linear time, no allocation.
bool matches(std::string_view pattern, std::string_view name, char separator = '/');
// Whether every name that `inner` matches is matched by `outer` too. REQUIRES: both well formed patterns.
bool covers(std::string_view outer, std::string_view inner, char separator = '/');

// Percent-encodes a foreign text (a user id) into one topic segment; the inverse fails on malformed
// escapes.
std::string encode_segment(std::string_view text);
// The user's own topic: users/<encoded id>.
std::string user_topic(std::string_view user);

// What a session asks for: topics that match `topic` and, unless `types` is empty, types that match one of
// them.
struct Selector {
  std::string topic;
  std::vector<std::string> types;   // sorted, without repeats
  bool notifications_only = false;  // of a followed topic: only what is for people

  auto operator<=>(const Selector&) const = default;
  bool accepts_type(std::string_view type) const;
};

// Checks and normalises (types sorted, repeats removed).
Result<Selector> make_selector(std::string topic, std::vector<std::string> types);

}  // namespace belfry
