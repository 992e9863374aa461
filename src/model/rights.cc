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

Rights default_rights(std::string_view user) { return Rights{{user_topic(user)}, {}}; }

}  // namespace belfry
