#pragma once
// What a publisher is answered: {"events":[{"id":"<cursor>","topic":"…","seq":3}],"replayed":true?}.

#include <span>
#include <string>
#include <string_view>

#include "model/model.h"

namespace belfry::wire {

struct PublishedEvent {
  std::string id;  // a cursor; empty for an ephemeral event
  std::string_view topic;
  Seq seq = 0;
};

std::string publish_answer(std::span<const PublishedEvent> events, bool replayed);

}  // namespace belfry::wire
