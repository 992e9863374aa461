#include "delivery/frame_run.h"

#include <algorithm>

namespace belfry {

std::span<const std::string_view> FrameRun::of(std::span<const Entry* const> entries, FrameOf frame_of) {
  if (is(entries, frame_of)) return pieces_;
  offsets_.clear();
  pieces_.clear();
  std::size_t bytes = 0;
  for (const Entry* entry : entries) {
    pieces_.emplace_back(frame_of(*entry));
    bytes += pieces_.back().size();
  }
  // A single frame lies side by side already; an ephemeral event has no offset to know it by.
  if (entries.size() < 2 || bytes > limits::frame_run_bytes_max) return pieces_;
  for (const Entry* entry : entries)
    if (!entry->event().durable()) return pieces_;
  frame_of_ = frame_of;
  for (const Entry* entry : entries) offsets_.push_back(entry->event().offset);
  join();
  return pieces_;
}

bool FrameRun::is(std::span<const Entry* const> entries, FrameOf frame_of) const {
  return !offsets_.empty() && frame_of == frame_of_ &&
         std::equal(entries.begin(), entries.end(), offsets_.begin(), offsets_.end(),
                    [](const Entry* entry, Offset offset) { return entry->event().offset == offset; });
}

void FrameRun::join() {
  bytes_.clear();
  for (const std::string_view piece : pieces_) bytes_ += piece;
  std::size_t at = 0;
  for (std::string_view& piece : pieces_) {
    piece = std::string_view(bytes_).substr(at, piece.size());
    at += piece.size();
  }
}

}  // namespace belfry
