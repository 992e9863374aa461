#include "model/rights.h"

#include <algorithm>

#include "model/topic.h"

namespace belfry {

Result<void> authorize(const Rights& rights, Act act, std::string_view pattern) {
  const auto& granted = act == Act::subscribe ? rights.subscribe : rights.publish;
  const bool found = std::any_of(granted.begin(), granted.end(),
                                 [pattern](const std::string& grant) { return covers(grant, pattern); });
  if (found) return {};
  const std::string what = act == Act::subscribe ? "subscribe to " : "publish to ";
  return fail(Code::forbidden, "The token does not allow to " + what + std::string(pattern) + ".", "topic");
}

Result<void> authorize_events(const Rights& rights, std::span<const Event> events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto allowed = authorize(rights, Act::publish, events[i].topic);
    if (allowed) continue;
    Error error = std::move(allowed).error();
    if (events.size() > 1) error.field = "events[" + std::to_string(i) + "].topic";
    return error;
  }
  return {};
}

Credential credential_of(const Principal& principal) {
  const auto hash = [](const std::string& text) { return text.empty() ? 0 : keyed_hash(text); };
  return {hash(principal.user), hash(principal.token_id), hash(principal.key), principal.issued};
}

bool concerns(const Revocation& revocation, const Credential& credential, Timestamp now) {
  if (!revocation.token_id.empty()) return credential.token == keyed_hash(revocation.token_id);
  if (credential.user != keyed_hash(revocation.user)) return false;
  return credential.issued <= revocation.not_before || credential.issued > now + limits::token_skew;
}

Rights default_rights(std::string_view user) { return Rights{{user_topic(user)}, {}}; }

}  // namespace belfry
