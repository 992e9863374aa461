#include "model/event.h"

#include "model/topic.h"

namespace belfry {

std::size_t Event::bytes() const {
  return topic.size() + type.size() + data.size() + notification.size() + key.size() + keys.size() +
         version.size();
}

bool accepts(const Selector& selector, const Event& event) {
  return matches(selector.topic, event.topic) && selector.accepts_type(event.type);
}

}  // namespace belfry
