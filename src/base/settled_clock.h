#pragma once
// The time by which things are taken out for good. A clock that jumps ahead may be wrong, and is often put
// right soon; what went meanwhile would be lost. So a jump counts only after the clock has stood by it for a
// while; until then time goes on from before the jump. A clock that is put back counts at once: it takes
// nothing out.
//
// Owner: whoever takes things out. Thread: the owner's. Not known: a clock that was wrong before the start.

#include <optional>

#include "base/clock.h"
#include "base/limits.h"

namespace belfry {

class SettledClock {
 public:
  // `settles`: a jump by more than that counts after as long.
  explicit SettledClock(Duration settles = std::chrono::duration_cast<Duration>(limits::clock_settles))
      : settles_(settles) {}

  // Asked every now and then, more often than `settles`.
  Timestamp of(Instant now, Timestamp wall) {
    const Duration apart = wall.value - now.value;
    if (!believed_ || apart - *believed_ <= settles_) {
      believe(apart);
    } else if (!jump_ || std::chrono::abs(apart - jump_->apart) > settles_) {
      jump_ = {now, apart};
    } else if (now - jump_->since >= settles_) {
      believe(apart);
    }
    return {now.value + *believed_};
  }
  // A jump does not count yet.
  bool waits() const { return jump_.has_value(); }

 private:
  struct Jump {
    Instant since;
    Duration apart;
  };
  void believe(Duration apart) {
    believed_ = apart;
    jump_.reset();
  }

  Duration settles_;
  std::optional<Duration> believed_;  // from the steady clock to the wall clock
  std::optional<Jump> jump_;
};

}  // namespace belfry
