#pragma once
// The log: where an event becomes true. Takes groups of publish requests, recognises repeats, commits what
// is new in one transaction, and only then appends it to the tail.
//
// Route:  api (a publish request) -> log-writer's mailbox -> here -> store, then tail -> hub.
// Owner:  server. Thread: log-writer. No I/O of its own: store and time come in, so the simulator runs this
// code. Bound:  a group has room for limits::commit_rows_max rows, group_bytes_max bytes and
//         group_work_max of planning, but takes at least one request, whole. One slice of housekeeping
//         takes out at most limits::housekeeping_rows_max rows.
// Always: an outcome that says "stored" is given only after the store's commit; nothing reaches the tail
// before it.
//         After Code::store_failed nothing is acknowledged any more.

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/base.h"
#include "log/command.h"
#include "log/tail.h"
#include "model/model.h"
#include "store/store.h"

namespace belfry {

// One publish request. REQUIRES: its events were checked (wire/publish_body) and its rights too
// (model/rights).
struct PublishRequest {
  std::vector<Event> events;
  std::string principal;        // scopes the key
  std::string idempotency_key;  // empty: none
  BodyHash body{};              // of the request's bytes; used only with a key
  // Or one key for each event: an event whose key is known is not stored again, the others are.
  std::vector<std::string> event_keys{};
  std::vector<BodyHash> event_bodies{};  // as many as event_keys
  std::vector<Timestamp> deliver_at{};   // as many as events: they are scheduled instead (Log checks)
  std::optional<Timestamp> arrived{};    // by which deliver_at is judged; none: by the group's time
  std::optional<Command> command{};      // instead of events
  std::vector<Change> changes{};  // in the transaction of its events: a source's position, a used ticket
  Timestamp issued{};             // of the token that schedules it, and its id
  std::string token_id{};
};

// Where one event went. Ephemeral and scheduled events have offset and seq 0 and no cursor.
struct Placed {
  Cursor cursor;
  Seq seq = 0;
  std::string topic;
  std::uint64_t scheduled = 0;  // id of the scheduled event
};

struct Published {
  std::vector<Placed> events;
  bool replayed = false;  // the key was known: these are the events of the first request
  std::optional<CommandAnswer> command{};
};

using PublishOutcome = Result<Published>;

// Switches that plant a known bug, for the simulator to catch. Always default outside tests/sim.
struct LogPlanted {
  bool acknowledge_failed_commit = false;  // "stored" is answered although the commit failed
  bool announce_before_commit = false;     // the tail shows events that may never be committed
  bool forget_keys = false;                // a repeated publish is stored again
  bool keep_epoch = false;                 // an opening does not begin a new epoch
  bool forget_floors = false;              // a refilled tail knows nothing of what retention took
  bool drop_unindexed = false;             // a refilled tail has no rows above it
  bool trim_beyond_index = false;          // the tail lets go what no page holds yet
  bool forget_time = false;                // a refilled tail without rows begins at no time
  bool unbounded_group = false;            // a group takes whatever waits
  bool unbounded_slice = false;            // a slice of housekeeping takes all there is
  bool believe_any_clock = false;          // times follow the clock without a step
  bool believe_any_jump = false;           // what goes by its time goes by the wall clock alone
};

struct LogOptions {
  std::size_t tail_bytes_max = limits::tail_bytes_max;
  std::size_t warm_rows = 8192;  // at least the newest of these are in memory after a start
  std::vector<std::string> ephemeral;   // topic patterns whose events are not stored
  std::optional<Duration> retention{};  // events older than this are trimmed; none: kept for ever
  std::vector<RetentionRule> rules{};   // shorter for some topics
  // Whether what is due may still be published; asked on the log-writer. Unset: it may.
  std::function<bool(const Scheduled&)> stands{};
  LogPlanted planted{};
};

class Log {
 public:
  // Opens the store under a fresh epoch and fills the tail with what is not indexed yet.
  static Result<std::unique_ptr<Log>> open(Store& store, LogOptions options, Epoch fresh);
  ~Log();

  // A group: begin_group, add as long as there is room, commit_group.
  void begin_group(Timestamp now);
  struct Added {
    bool room = false;       // for one more request; without it the group should be committed
    std::uint64_t work = 0;  // that planning it took, in the unit of FeedRows::work
  };
  // Whether there is room for this one, too, as far as can be told before it is added. The first one always
  // fits; an erasure only as the first, because the others would be planned by what its slices take out.
  bool fits(const PublishRequest& request) const;
  // One bounded slice of an erasure, before it is taken into a group; `after` grows with it. True: there may
  // be more. What is left when it is added goes in its group's transaction, whole. Who crashes between two
  // slices leaves a part of it done; nobody was answered then.
  Result<bool> erase_some(EraseCommand& command);
  // Before it is added: a revocation counts from, and is kept by, the time of the log at least. A clock that
  // is behind makes none of it void.
  void date(RevokeCommand& command) const;
  // Takes the request, whether there is room or not. Commands are planned at once: their place is before the
  // group's events, so that their counts are true there, whatever else the group brings.
  Added add(PublishRequest&& request);
  // One outcome for each request, in the order of add().
  std::vector<PublishOutcome> commit_group();
  // All of it at once, whatever the room. The requests are moved from.
  std::vector<PublishOutcome> publish(std::span<PublishRequest> requests, Timestamp now);

  // What time alone brings: joins and leaves, and what the clock told last. Once a second or so.
  void tick(Timestamp now);
  // One bounded slice of housekeeping, of one kind: what is due is published, what expired is taken out,
  // what is old goes, what rules let go, keys are forgotten; each kind in turn. A slice is as large as
  // what was committed since the last one of its kind, so that housekeeping keeps pace with publishing.
  // False: nothing is left to do now.
  // Things are taken out by both clocks; what is due is published by the wall clock.
  Result<bool> maintain(const Now& now);

  // Retention as of now; the other options stay.
  void set_retention(std::optional<Duration> retention, std::vector<RetentionRule> rules) {
    options_.retention = retention;
    options_.rules = std::move(rules);
  }

  // Who turns commands into events; outlives the log's use. Without one, commands are refused.
  void set_planner(CommandPlanner& planner) { planner_ = &planner; }

  // Set once a commit ended with Code::store_failed.
  const std::optional<Error>& failure() const { return failure_; }

  Tail& tail() { return *tail_; }
  const Tail& tail() const { return *tail_; }
  const EpochTable& epochs() const { return epochs_; }
  bool is_ephemeral(std::string_view topic) const;
  // Scheduled events that were due and not published: who scheduled them was revoked. Since the opening.
  std::uint64_t refused_due() const { return refused_due_; }
  // How far the time of the log is ahead of the clock; at most limits::clock_ahead_max after a group.
  Duration ahead(Timestamp now) const { return std::max(Duration{0}, last_time_ - now); }
  // How often it stepped back, since the opening.
  std::uint64_t time_steps() const { return time_steps_; }

 private:
  struct Group;
  Log(Store& store, LogOptions options);

  Result<void> fill_tail(const Opened& opened);
  // Remembers the clock. False: it tells a time that cannot be.
  bool see(Timestamp now);
  // From now on events are dated so, or later.
  void take_time(Timestamp now);
  void take(Group& group, std::size_t index, Timestamp now);
  // Where the events with known keys are; nothing for those that are new.
  Result<std::vector<std::optional<Placed>>> known_events(const Group& group,
                                                          const PublishRequest& request);
  std::uint64_t take_command(Group& group, std::size_t index, const Command& command, Timestamp now);
  void take_scheduled(Group& group, std::size_t index, PublishRequest& request, Timestamp now);
  bool answer_repeat(Group& group, std::size_t index, const PublishRequest& request);
  Result<Published> repeat_of(const IdempotencyRecord& record, const PublishRequest& request);
  // False if it came to nothing; the outcomes of those parts that needed it then say why.
  bool commit(Group& group);
  Result<Committed> store(Group& group);
  std::vector<IdempotencyRecord> records_of(const Group& group) const;
  void announce_ephemeral(const Group& group);
  struct Room {
    std::size_t rows = 0;
    std::size_t bytes = 0;
  };
  static Room room_of(const PublishRequest& request);
  void count_arrived(const Group& group, std::size_t keys);
  void announce(Group& group);
  void answer(Group& group, const Committed& committed);

  enum class Chore {
    publish_due,
    withdraw_expired,
    trim,
    sweep,
    forget_keys,
    forget_access,
    forget_remains
  };
  static constexpr std::size_t chores = 7;
  // How many rows it took out or brought.
  Result<std::size_t> do_chore(Chore chore, const Now& now, std::size_t rows_max);
  Result<std::size_t> publish_due(Timestamp now, std::size_t rows_max);
  Result<std::size_t> withdraw_expired(Timestamp now, std::size_t rows_max);
  Result<std::size_t> trim(const Now& now, std::size_t rows_max);

  Store& store_;
  LogOptions options_;
  CommandPlanner* planner_ = nullptr;
  std::unique_ptr<Tail> tail_;
  EpochTable epochs_;
  // Of the newest event: times never run backwards within the log, except at a step.
  Timestamp last_time_;
  Timestamp seen_;  // the clock when it was plausible last
  std::optional<Timestamp> step_from_;  // what last_time_ was before it was put back; no event says so yet
  std::uint64_t time_steps_ = 0;
  std::unique_ptr<Group> group_;  // between begin_group and commit_group
  std::uint64_t refused_due_ = 0;
  std::size_t next_chore_ = 0;
  std::array<std::size_t, chores> arrived_{};  // rows committed since the last slice of each chore
  std::optional<Error> failure_;
};

}  // namespace belfry
