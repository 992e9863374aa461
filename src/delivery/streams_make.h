#pragma once
// Streams::make, for the files that make streams. Private to delivery.

#include "delivery/stream.h"

namespace belfry {

template <class Kind, class... Arguments>
Kind& Streams::make(Arguments&&... arguments) {
  auto stream = std::make_unique<Kind>(*this, std::forward<Arguments>(arguments)...);
  Kind& made = *stream;
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  made.slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[made.slot] = std::move(stream);
  ++count_;
  return made;
}

}  // namespace belfry
