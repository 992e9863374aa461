#include "ingest/horizon.h"

#include <algorithm>
#include <utility>

namespace belfry::ingest {

void TableHorizon::looked(TableLook look) {
  if (!step_) {
    if (look.highest - slack_ > floor_) step_ = Step{look.highest - slack_, {}, false, {}};
    return;
  }
  if (!step_->asked) {
    // Asked after the snapshot that showed the id: whoever had drawn a lower one lives, or has ended since
    // and is seen from the next snapshot on.
    step_->living = std::move(look.living);
    step_->asked = true;
    return;
  }
  if (!step_->after) {
    const bool ended =
        std::none_of(step_->living.begin(), step_->living.end(), [&](const std::string& one) {
          return std::find(look.living.begin(), look.living.end(), one) != look.living.end();
        });
    if (!ended) return;
    step_->after = look.next;
  }
  if (look.all_taken && look.oldest >= *step_->after) {
    floor_ = step_->id;
    step_.reset();
  }
}

}  // namespace belfry::ingest
