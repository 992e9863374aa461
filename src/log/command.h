#pragma once
// What may be asked of the log beside publishing. A command becomes events of its user's topic and changes
// of the store, in one transaction; what it becomes is decided by feed, which stands above the log and is
// asked through CommandPlanner.
//
// Values; any thread.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/model.h"
#include "store/store.h"

namespace belfry {

struct MarkCommand {
  std::string user;
  Mark mark = Mark::read;
  std::vector<Cursor> ids;     // these notifications, or
  std::optional<Cursor> upto;  // everything up to here
};
struct FollowCommand {
  std::string user;
  std::string topic;
  bool follow = true;
};
struct MuteCommand {
  std::string user;
  Mutes mutes;
};
struct RetractCommand {
  Cursor id;
  Rights rights;  // only an event that they could publish
};
struct CancelCommand {
  std::uint64_t scheduled = 0;
  std::string principal;  // only its own
};
struct EraseCommand {
  std::string user;
};
struct RevokeCommand {
  Revocation revocation;
};
using Command = std::variant<MarkCommand, FollowCommand, MuteCommand, RetractCommand, CancelCommand,
                             EraseCommand, RevokeCommand>;

struct CommandAnswer {
  bool changed = false;
  Cursor cursor;               // where `counts` are true
  FeedCounts counts;           // after a mark
  std::vector<Cursor> absent;  // ids that are not in the caller's feed
  std::optional<Revocation> revoked{};
};

struct CommandPlan {
  std::vector<Event> events;    // one at most
  std::vector<Change> changes;  // `event` counts from the first of `events`
  CommandAnswer answer;         // `cursor` is filled in by the log
};

// Thread: the log-writer.
class CommandPlanner {
 public:
  virtual ~CommandPlanner() = default;
  // What was planned before is committed, or came to nothing.
  virtual void begin_group() = 0;
  // Sees what earlier plans of the same group change.
  virtual Result<CommandPlan> plan(const Command& command, Timestamp now) = 0;
};

}  // namespace belfry
