#pragma once
// The frames of a run of events, side by side: sessions of one topic get the same events in a turn, and a
// socket takes adjacent pieces in one plain send. Private to delivery.
//
// Owner: Streams. Thread: the shard's. Bound: limits::frame_run_bytes_max, and limits::write_events_max
// pieces. Always: the pieces are the frames of the entries asked for, in their order. Kept by offset, which
// names an event
//         for as long as the process runs, so what is kept never depends on how long an entry lives.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.h"

namespace belfry {

using FrameOf = const std::string& (*)(const Entry& entry);

class FrameRun {
 public:
  // Valid until the next call, and while the entries are.
  std::span<const std::string_view> of(std::span<const Entry* const> entries, FrameOf frame_of);

 private:
  bool is(std::span<const Entry* const> entries, FrameOf frame_of) const;
  void join();

  FrameOf frame_of_ = nullptr;
  std::vector<Offset> offsets_;
  std::string bytes_;
  std::vector<std::string_view> pieces_;
};

}  // namespace belfry
