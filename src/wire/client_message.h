#pragma once
// What a client may say on a WebSocket, and what it is answered. The only place that knows those names.
//
//   {"action":"connect","token":"…","since":"<cursor>|now|earliest","topics":[…],"types":[…],"feed":true}
//   first message
//   {"action":"subscribe","topics":["bookings/+"],"types":["booking.#"],"id":"1"}
//   {"action":"unsubscribe",…}
//   {"action":"mark","id":"2","mark":"read","ids":["…"]}     or "upto":"<cursor>"
//   {"action":"publish","id":"3","events":[{"topic":"chat/7",…}],"idempotency_key":"…"}
//   {"action":"renew","id":"4","token":"…"}
//   {"action":"ping","id":"5"}
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
  enum class Action { connect, subscribe, unsubscribe, mark, publish, renew, ping } action = Action::ping;
  std::string id;     // of the request, at most 64 bytes
  std::string token;  // connect, renew
  std::string since;  // connect; empty: now
  std::vector<std::string> topics;
  std::vector<std::string> types;
  bool feed = false;            // connect: the caller's feed too
  std::string body;             // mark, publish: as the body of the HTTP request
  std::string idempotency_key;  // publish
};

// Unknown fields and actions, wrong types and anything too long are errors, with the field named.
Result<ClientMessage> parse_client_message(std::string_view text);

std::string control_subscribed(const std::vector<std::string>& topics, std::string_view cursor,
                               std::string_view id);
std::string control_unsubscribed(const std::vector<std::string>& topics, std::string_view id);
std::string control_pong(std::string_view id);
// `answer` is the body of the HTTP answer: {"control":"published","id":"…",<answer's members>}
std::string control_answer(std::string_view control, std::string_view id, std::string_view answer);
// `lost`: topics that the new token does not grant any more.
std::string control_renewed(const std::vector<std::string>& lost, std::string_view id);

}  // namespace belfry::wire
