#pragma once
// What may be asked of the log beside publishing. A command becomes events of its user's topic and changes
// of the store, in one transaction; what it becomes is decided by feed, which stands above the log and is
// asked through CommandPlanner.
//
// Values; any thread.

#include <optional>
#include <string>
#include <utility>
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
  Offset after = 0;  // its events up to here are gone already, by Log::erase_some
};
struct RevokeCommand {
  Revocation revocation;
  bool so_far = false;  // all that was issued up to now, whatever the clock says
};
struct PresenceWord {
  std::string topic;
  std::string user;
  bool here = false;
};
// Of a shard (`holder`): who is attached now to topics that keep presence and was not, or the other way
// round; it also says that the shard lives. Or a question.
struct PresenceCommand {
  enum class Kind { update, list } kind = Kind::list;
  std::uint64_t holder = 0;
  std::vector<PresenceWord> words{};  // update: at most limits::presence_words_max
  std::string topic{};                // list
};
using Command = std::variant<MarkCommand, FollowCommand, MuteCommand, RetractCommand, CancelCommand,
                             EraseCommand, RevokeCommand, PresenceCommand>;

struct Present {
  std::string user;
  Timestamp since;
};

struct CommandAnswer {
  bool changed = false;
  Cursor cursor;               // where `counts` are true
  FeedCounts counts;           // after a mark
  std::vector<Cursor> absent;  // ids that are not in the caller's feed
  std::vector<Present> present{};  // for a presence question
  bool unknown_holder = false;     // of a presence update: nothing that the shard said so far counts
};

struct CommandPlan {
  std::vector<Event> events;    // one at most; joins and leaves are not stored
  std::vector<Change> changes;  // `event` counts from the first of `events`
  CommandAnswer answer;         // `cursor` is filled in by the log
  std::uint64_t work = 0;       // of planning and answering beside that of the store, in its unit
};

// Thread: the log-writer.
class CommandPlanner {
 public:
  virtual ~CommandPlanner() = default;
  // What was planned before is committed, or came to nothing.
  virtual void begin_group() = 0;
  // Sees what earlier plans of the same group change.
  virtual Result<CommandPlan> plan(const Command& command, Timestamp now) = 0;
  // Once a second or so: ephemeral events that time alone brings.
  virtual std::vector<Event> tick(Timestamp now) = 0;
};

}  // namespace belfry
