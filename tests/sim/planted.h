#pragma once
// Known bugs, planted one at a time. A checker that does not catch each of them is not trusted.

#include <string>
#include <vector>

#include "world.h"

namespace belfry::sim {

struct PlantedBug {
  std::string name;
  Faults faults;
};

inline std::vector<PlantedBug> planted_bugs() {
  std::vector<PlantedBug> out;
  const auto hub = [&](std::string name, bool Planted::* flag) {
    PlantedBug bug{std::move(name), {}};
    bug.faults.hub.*flag = true;
    out.push_back(std::move(bug));
  };
  const auto log = [&](std::string name, bool LogPlanted::* flag) {
    PlantedBug bug{std::move(name), {}};
    bug.faults.log.*flag = true;
    out.push_back(std::move(bug));
  };
  hub("a heartbeat tells the log's head to a session that is behind", &Planted::heartbeat_tells_head);
  hub("a floor is ignored", &Planted::ignore_floor);
  hub("replay skips what was committed while it ran", &Planted::skip_commits_during_replay);
  hub("a position passes an event that was not taken", &Planted::position_past_untaken);
  hub("a page for other selectors is taken", &Planted::accept_stale_page);
  hub("an answer to an earlier question is taken", &Planted::accept_any_answer);
  hub("a topic subscribed while behind starts at the head", &Planted::forget_late_topic);
  hub("an event is written again after a stall", &Planted::repeat_after_block);
  hub("a page is written in the wrong order", &Planted::newest_first_page);
  hub("a shard that was overtaken goes on as if nothing had happened", &Planted::ignore_overrun);
  hub("types are not filtered", &Planted::skip_type_filter);
  hub("a session outlives its token", &Planted::ignore_expiry);
  hub("refresh events of other topics are dropped", &Planted::collapse_across_topics);
  log("a failed commit is acknowledged", &LogPlanted::acknowledge_failed_commit);
  log("events are visible before they are durable", &LogPlanted::announce_before_commit);
  log("idempotency keys are forgotten", &LogPlanted::forget_keys);
  log("an opening does not begin a new epoch", &LogPlanted::keep_epoch);
  log("a refilled tail knows nothing of what retention took", &LogPlanted::forget_floors);
  log("a refilled tail has no rows above the index", &LogPlanted::drop_unindexed);
  log("the tail lets go what no page holds yet", &LogPlanted::trim_beyond_index);
  log("a log whose newest events are gone begins at no time", &LogPlanted::forget_time);
  log("a group takes whatever waits", &LogPlanted::unbounded_group);
  log("a slice of housekeeping takes all there is", &LogPlanted::unbounded_slice);
  log("times follow the clock without a step", &LogPlanted::believe_any_clock);
  log("a clock that jumps ahead is believed at once", &LogPlanted::believe_any_jump);
  hub("a revoked user's sessions go on", &Planted::ignore_revocation);
  hub("a revocation ends newer tokens", &Planted::revoke_bystanders);
  hub("all that are behind are served in one turn", &Planted::unbounded_turn);
  hub("those that are behind come first", &Planted::behind_first);
  hub("a crowd of one user is served session by session", &Planted::one_lane);
  const auto store = [&](std::string name, bool MemoryDisk::Planted::* flag) {
    PlantedBug bug{std::move(name), {}};
    bug.faults.store.*flag = true;
    out.push_back(std::move(bug));
  };
  store("topics are forgotten without a word", &MemoryDisk::Planted::forget_forgotten);
  store("retention raises no floor", &MemoryDisk::Planted::keep_floors);
  store("steps of the clock are not looked at", &MemoryDisk::Planted::dates_alone);
  store("a page takes all there is", &MemoryDisk::Planted::unbounded_page);
  return out;
}

// Of the feed; played in FeedWorld.
inline std::vector<PlantedBug> planted_feed_bugs() {
  std::vector<PlantedBug> out;
  const auto feed = [&](std::string name, bool FeedPlanted::* flag) {
    PlantedBug bug{std::move(name), {}};
    bug.faults.feed.*flag = true;
    out.push_back(std::move(bug));
  };
  const auto hub = [&](std::string name, bool Planted::* flag) {
    PlantedBug bug{std::move(name), {}};
    bug.faults.hub.*flag = true;
    out.push_back(std::move(bug));
  };
  feed("up to here covers newer items", &FeedPlanted::mark_beyond);
  feed("of two marks in one group the first is lost", &FeedPlanted::forget_overlay);
  feed("a mark tells the counts from before it", &FeedPlanted::stale_counts);
  feed("notifications of others are marked", &FeedPlanted::mark_foreign);
  feed("counts are kept although something was taken out", &FeedPlanted::forget_removals);
  hub("who is behind follows what is followed now", &Planted::follow_from_now);
  hub("changes of follows that retention took are not missed", &Planted::ignore_follow_floor);
  hub("a position of a feed passes what was not taken", &Planted::position_past_untaken);
  return out;
}

}  // namespace belfry::sim
