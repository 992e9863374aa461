#pragma once
// Turns commands into events and changes (log/command.h): what a mark, a follow, a mute, a retraction
// means.
//
// Owner: server. Thread: the log-writer. Bound: what one group of requests touches.
// Always: a command that changes nothing makes no event; an id that is not in the caller's feed is told as
// absent, whether it exists or not.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "feed/presence_book.h"
#include "log/log.h"

namespace belfry {

// How Belfry's own events say what they say; given by wire, because it is JSON.
struct OwnEventData {
  std::string (*mark)(Mark mark, const std::vector<Cursor>& ids, const std::optional<Cursor>& upto,
                      FeedCounts counts);
  std::string (*topic)(std::string_view topic);
  std::string (*mutes)(const Mutes& mutes);
  std::string (*id)(Cursor id);
  std::string (*revocation)(const Revocation& revocation);
  std::string (*user)(std::string_view user);
};

// Switches that plant a known bug, for the simulator to catch. Always default outside tests/sim.
struct FeedPlanted {
  bool mark_beyond = false;     // "up to here" covers the newest item too
  bool forget_overlay = false;  // two marks in one group: the first is lost
  bool stale_counts = false;    // counts are those from before the mark
  bool mark_foreign = false;    // ids of others' notifications are taken
  bool forget_removals = false;  // counts are kept although something was taken out
};

class Planner final : public CommandPlanner {
 public:
  Planner(Store& store, const EpochTable& epochs, OwnEventData data, FeedPlanted planted = {})
      : store_(store), epochs_(epochs), data_(data), planted_(planted) {}

  void begin_group() override;
  Result<CommandPlan> plan(const Command& command, Timestamp now) override;
  std::vector<Event> tick(Timestamp now) override;

 private:
  Result<CommandPlan> plan_mark(const MarkCommand& command, Timestamp now);
  Result<CommandPlan> plan_follow(const FollowCommand& command);
  Result<CommandPlan> plan_mutes(const MuteCommand& command);
  Result<CommandPlan> plan_retract(const RetractCommand& command);
  Result<CommandPlan> plan_cancel(const CancelCommand& command);
  Result<CommandPlan> plan_erase(const EraseCommand& command);
  CommandPlan plan_presence(const PresenceCommand& command, Timestamp now);
  std::vector<Event> told(const std::vector<PresenceChange>& changes) const;
  Result<CommandPlan> plan_revoke(const RevokeCommand& command);

  // What is kept of the user, with what this group changes.
  Result<UserRows*> rows_of(const std::string& user);
  FeedCounts without_withdrawn(FeedCounts counts, const std::string& user, const UserRows& rows) const;
  bool taken_out(Offset offset) const;
  Result<void> count_change(const std::string& user, const UserRows& rows, const ReadState& read,
                            Offset upto, Offset head, FeedCounts& counts);
  Result<bool> apply_ids(const MarkCommand& command, const UserRows& rows, Timestamp now, ReadState& read,
                         FeedCounts& counts, std::vector<Cursor>& absent);
  // The notification if it is in the user's feed, without its data.
  Result<std::optional<Event>> item_in_feed(const std::string& user, const UserRows& rows, Cursor id,
                                            Timestamp now);
  Result<void> join_empty(const std::string& user, const UserRows& rows, const std::vector<Offset>& marked,
                          ReadState& read);

  Store& store_;
  const EpochTable& epochs_;
  const OwnEventData data_;
  const FeedPlanted planted_;
  // Of one group: users as they will be, events taken out, users erased.
  std::map<std::string, UserRows> users_;
  std::vector<Event> withdrawn_;
  std::set<std::string> erased_;
  PresenceBook presence_;
};

}  // namespace belfry
