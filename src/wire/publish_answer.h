#pragma once
// What a publisher is answered: {"events":[{"id":"<cursor>","topic":"…","seq":3}],"replayed":true?}. A
// scheduled event has `scheduled` instead, by which it can be cancelled.

#include <span>
#include <string>
#include <string_view>

#include "model/model.h"

namespace belfry::wire {

struct PublishedEvent {
  std::string id;  // a cursor; empty for an ephemeral or scheduled event
  std::string_view topic;
  Seq seq = 0;
  std::uint64_t scheduled = 0;  // id of the scheduled event; 0: none
};

std::string publish_answer(std::span<const PublishedEvent> events, bool replayed);

}  // namespace belfry::wire
