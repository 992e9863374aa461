#pragma once
// Time along the log. Times never run backwards in it, except where the clock was put back: there a step
// says when it was. What stands before a step is as old as the step, or older, whatever its own time says.
//
// Owner: a store. Thread: the log-writer. Bound: a step for each time the clock was put back, as long as
// something before it is still there.

#include <algorithm>
#include <vector>

#include "model/model.h"

namespace belfry {

class TimeLine {
 public:
  // REQUIRES: behind the steps that are here.
  void add(Offset first, Timestamp time) {
    steps_.emplace_back(first, time);
    // Each knows the earliest time of itself and of all behind it.
    for (auto step = steps_.rbegin() + 1; step != steps_.rend() && step->earliest > time; ++step)
      step->earliest = time;
  }
  void clear() { steps_.clear(); }
  bool empty() const { return steps_.empty(); }
  std::size_t size() const { return steps_.size(); }
  // Nothing is left below the offset. True if steps went.
  bool forget_below(Offset offset) {
    return std::erase_if(steps_, [offset](const Step& step) { return step.first <= offset; }) > 0;
  }

  // When the event at the offset was published at the latest, given the time that it is dated. Never runs
  // backwards along the log.
  Timestamp of(Offset offset, Timestamp dated) const {
    const auto next = std::upper_bound(steps_.begin(), steps_.end(), offset,
                                       [](Offset at, const Step& step) { return at < step.first; });
    return next == steps_.end() ? dated : std::min(dated, next->earliest);
  }

 private:
  struct Step {
    Offset first;
    Timestamp earliest;
    Step(Offset at, Timestamp time) : first(at), earliest(time) {}
  };
  std::vector<Step> steps_;
};

}  // namespace belfry
