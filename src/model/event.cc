#include "model/event.h"

#include "model/topic.h"

namespace belfry {

std::size_t Event::bytes() const {
  return topic.size() + type.size() + data.size() + notification.size() + key.size() + keys.size() +
         version.size();
}

bool accepts(const Selector& selector, const Event& event) {
  return matches(selector.topic, event.topic) && accepts_kind(selector, event);
}

bool accepts_kind(const Selector& selector, const Event& event) {
  if (selector.notifications_only && event.notification.empty()) return false;
  return selector.accepts_type(event.type);
}

}  // namespace belfry
