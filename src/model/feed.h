#pragma once
// What a notification is to a person: the feed's words that are plain values.
//
// Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.h"
#include "model/read_state.h"

namespace belfry {

// Types of the events that Belfry itself writes. Publishers cannot use them; people's devices learn by
// them.
inline constexpr std::string_view own_types = "belfry.";
inline constexpr std::string_view mark_type = "belfry.mark";          // read state of users/<id> changed
inline constexpr std::string_view follow_type = "belfry.follow";      // users/<id> follows a topic
inline constexpr std::string_view unfollow_type = "belfry.unfollow";  // and no more
inline constexpr std::string_view mutes_type = "belfry.mutes";      // what users/<id> does not want to see
inline constexpr std::string_view retract_type = "belfry.retract";  // an event of this topic was taken back

inline constexpr std::string_view erase_type = "belfry.erase";  // all of users/<id> was erased

inline constexpr std::string_view revoke_type = "belfry.revoke";  // tokens count no more
inline constexpr std::string_view revocations_topic = "belfry/revocations";

// Somebody is attached to the topic, or no more; never stored.
inline constexpr std::string_view join_type = "belfry.join";
inline constexpr std::string_view leave_type = "belfry.leave";

// A durable membership: notifications of the topic with an offset in (from, to] are in the user's feed.
struct Follow {
  std::string topic;
  Offset from = 0;
  std::optional<Offset> to;  // none: still followed
  bool operator==(const Follow&) const = default;
  // Whether a session at this position gets what comes next on the topic.
  bool holds(Offset position) const { return from <= position && (!to || position < *to); }
};

// Patterns of topics and of types whose notifications a user does not want to see. They are kept, and are
// seen again once the mute is gone.
struct Mutes {
  std::vector<std::string> topics;
  std::vector<std::string> types;
  bool operator==(const Mutes&) const = default;
  bool empty() const { return topics.empty() && types.empty(); }
  bool hide(std::string_view topic, std::string_view type) const;
};

// What an event of Belfry's own does to the feed of the user whose topic it is in.
struct FeedChange {
  enum class Kind { follow, unfollow, mutes, erase } kind = Kind::follow;
  std::string topic;  // follow, unfollow
  Mutes mutes;        // mutes
};
// Reads an event of Belfry's own; given by wire, because its data is JSON.
using FeedChangeOf = std::optional<FeedChange> (*)(const Event& event);

struct FeedCounts {
  std::uint64_t unread = 0;
  std::uint64_t unseen = 0;
  bool operator==(const FeedCounts&) const = default;
};

}  // namespace belfry
