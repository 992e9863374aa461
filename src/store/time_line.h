#pragma once
// Time along the log. Times never run backwards in it, except where the clock was put back: there a step
// says what the log's time had been, and from what time it went on. Either the clock had been ahead before
// the step, or it is behind after it; the clock of now decides. As long as the log's time before the step is
// still to come, what stands before it is as old as the step, or older, whatever its own time says. Once it
// has come, nothing after the step is older than it: a clock that was behind once makes nothing old.
//
// Owner: a store. Thread: the log-writer. Bound: the largest limits::time_steps_max, so that what is not
// known are the smallest. A step goes when nothing before it is left and the log's time is again
// where it had been.

#include <algorithm>
#include <vector>

#include "model/model.h"

namespace belfry {

// The time by two clocks. What is old is old by both: the one may have jumped ahead, the other may still go
// on from a time that was behind.
struct Now {
  Now(Timestamp time) : wall(time), settled(time) {}
  Now(Timestamp wall_time, Timestamp settled_time) : wall(wall_time), settled(settled_time) {}

  Timestamp wall;
  Timestamp settled;  // base/settled_clock.h
};

class TimeLine {
 public:
  // `first`: of the events that are dated from `time` on; the log's time before was `was`.
  // REQUIRES: behind the steps that are here.
  void add(Offset first, Timestamp was, Timestamp time) {
    steps_.push_back({first, was, time});
    if (steps_.size() <= limits::time_steps_max) return;
    const auto back = [](const Step& step) { return step.was - step.time; };
    steps_.erase(std::min_element(steps_.begin(), steps_.end(), [&](const Step& one, const Step& other) {
      return back(one) < back(other);
    }));
  }
  void clear() { steps_.clear(); }
  bool empty() const { return steps_.empty(); }
  std::size_t size() const { return steps_.size(); }
  // Nothing is left below the offset, whose event is dated so. True if steps went.
  bool forget_below(Offset offset, Timestamp dated) {
    const auto over = [&](const Step& step) { return step.first <= offset && step.was <= dated; };
    return std::erase_if(steps_, over) > 0;
  }

  // When the event at the offset was published, given the time that it is dated and the clock of now. Never
  // runs backwards along the log.
  Timestamp of(Offset offset, Timestamp dated, Timestamp now) const {
    Timestamp earliest{Duration::min()}, latest{Duration::max()};
    for (const Step& step : steps_) {
      if (step.first <= offset && step.was <= now) earliest = std::max(earliest, step.was);
      if (step.first > offset && step.was > now) latest = std::min(latest, step.time);
    }
    return std::min(std::max(dated, earliest), latest);
  }

  // Whether the event at the offset, dated so, was published longer than `age` ago.
  bool older(Offset offset, Timestamp dated, Duration age, const Now& now) const {
    return of(offset, dated, now.wall) < now.wall + -age &&
           of(offset, dated, now.settled) < now.settled + -age;
  }

 private:
  struct Step {
    Offset first;
    Timestamp was, time;
  };
  std::vector<Step> steps_;
};

}  // namespace belfry
