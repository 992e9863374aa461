#include "model/feed.h"

#include <algorithm>

#include "model/topic.h"

namespace belfry {

bool Mutes::hide(std::string_view topic, std::string_view type) const {
  const auto covers_topic = [topic](const std::string& pattern) { return matches(pattern, topic); };
  const auto covers_type = [type](const std::string& pattern) { return matches(pattern, type, '.'); };
  return std::any_of(topics.begin(), topics.end(), covers_topic) ||
         std::any_of(types.begin(), types.end(), covers_type);
}

}  // namespace belfry
