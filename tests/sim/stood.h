#pragma once
// The times by which something may be taken out for good (I35), found without the product's own clock: from
// where the clock stood lowest, of late or ever, and how often it moved since.

#include <algorithm>
#include <deque>

#include "base/clock.h"
#include "base/limits.h"

namespace belfry::sim {

class Stood {
 public:
  struct Times {
    Timestamp earliest, latest;
  };
  // At each slice of housekeeping. A jump by no more than `clock_settles` counts at once, a larger one when
  // the clock has stood by it for as long, give or take as much.
  Times at(Instant now, Timestamp wall) {
    constexpr Duration settles{limits::clock_settles};
    while (!seen_.empty() && now - seen_.front().at > settles) seen_.pop_front();
    seen_.push_back({now, wall.value - now.value});
    lowest_ = std::min(lowest_, seen_.back().apart);
    const auto less = [](const Seen& one, const Seen& other) { return one.apart < other.apart; };
    const auto lowest = std::min_element(seen_.begin(), seen_.end(), less);
    Duration apart = lowest->apart + 2 * settles;
    for (auto it = std::next(lowest); it != seen_.end(); ++it)
      if (it->apart != std::prev(it)->apart) apart += settles;
    return {{now.value + lowest_}, std::min(wall, Timestamp{now.value + apart})};
  }

 private:
  struct Seen {
    Instant at;
    Duration apart;  // from the steady clock to the wall clock
  };
  std::deque<Seen> seen_;  // of the last `clock_settles`
  Duration lowest_ = Duration::max();
};

}  // namespace belfry::sim
