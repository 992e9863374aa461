#pragma once
// What a client may say on a WebSocket, and what it is answered. The only place that knows those names.
//
//   {"action":"connect","token":"…","since":"<cursor>|now|earliest","topics":[…],"types":[…]}      first
//   message
//   {"action":"subscribe","topics":["bookings/+"],"types":["booking.#"],"id":"1"}
//   {"action":"unsubscribe",…}
//   {"action":"ping","id":"2"}
//
// Every answer carries the request's `id` when it had one. Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry::wire {

struct ClientMessage {
  enum class Action { connect, subscribe, unsubscribe, ping } action = Action::ping;
  std::string id;     // of the request, at most 64 bytes
  std::string token;  // connect
  std::string since;  // connect; empty: now
  std::vector<std::string> topics;
  std::vector<std::string> types;
};

// Unknown fields and actions, wrong types and anything too long are errors, with the field named.
Result<ClientMessage> parse_client_message(std::string_view text);

std::string control_subscribed(const std::vector<std::string>& topics, std::string_view cursor,
                               std::string_view id);
std::string control_unsubscribed(const std::vector<std::string>& topics, std::string_view id);
std::string control_pong(std::string_view id);

}  // namespace belfry::wire
