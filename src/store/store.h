#pragma once
// The shelf: what is here survives a crash. The contract of every store; tests/contract runs one suite on
// each.
//
// Store        one writer. Owner and thread: the log-writer. Commits groups, indexes, trims.
// StoreReader  any number; each belongs to one thread (store-reader-0 …).
//
// Always: commit returns only after the group is flushed (SQLite: WAL, synchronous=FULL); a failed commit
// has stored nothing, except after Code::store_failed, when it is unknown and the store accepts nothing
// more. Offsets grow by exactly 1 over the log, seq by exactly 1 within a topic, also over restarts and
// retention.
//
// Rows are found by topic through an index of (topic, offset) that is built in batches behind the log:
// `indexed()` is the offset up to which it is complete. Rows above it are found in the log's tail, which
// keeps them until they are indexed (docs/decisions/0002).

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/base.h"
#include "model/model.h"
#include "store/time_line.h"

namespace belfry {

using BodyHash = std::array<std::uint8_t, 16>;  // first half of the SHA-256 of a publish body

// Remembers that a request with this key made the `count` events from `first` on. Before the commit,
// `first` is an index into the group's events.
struct IdempotencyRecord {
  std::string principal;
  std::string key;
  BodyHash body{};
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  Timestamp time;
  bool scheduled = false;  // `first` and `count` are of scheduled events instead
};

// An event that is to be published later. `id` is given by the store, growing.
struct Scheduled {
  std::uint64_t id = 0;
  Timestamp deliver_at;
  std::string principal;  // who scheduled it, and may cancel it
  Event event;
  Timestamp issued{};      // of the token that it was scheduled with
  std::string token_id{};  // likewise; empty: none
};

// The counts of a feed as they were at a place of the log. They are true there as long as FeedRows::removals
// gives the same number for what the feed held up to it.
struct KnownCounts {
  Offset at = 0;
  std::uint64_t removals = 0;
  FeedCounts counts;
  bool operator==(const KnownCounts&) const = default;
};

// What a commit changes beside its events. `event` is an index into the group's events.
struct PutReadState {
  std::string user;
  ReadState state;
  std::optional<KnownCounts> counted{};  // with this state
};
struct BeginFollow {
  std::string user;
  std::string topic;
  std::size_t event = 0;  // the interval begins at its offset
};
struct EndFollow {
  std::string user;
  std::string topic;
  std::size_t event = 0;  // the interval that is open ends at its offset
  bool forget = false;    // it holds nothing, and is not kept; KnownCounts are not, either
};
struct PutMutes {
  std::string user;
  Mutes mutes;
};
// Takes an event out of the log. No floor is raised: it is not loss.
struct Withdraw {
  Offset offset = 0;
};
// Takes out everything of a user: the events of users/<id>, those that are scheduled for it or by it,
// follows, mutes, read state, idempotency keys, tickets. Its revocations stay. Store::erase_some takes out
// most of it before, where there is much.
struct EraseUser {
  std::string user;
  Offset after = 0;  // its events up to here are gone already
};
struct PutScheduled {
  Scheduled scheduled;  // without id
};
struct DropScheduled {
  std::uint64_t id = 0;
};
// The one of the same user or token id is made stronger, never weaker.
struct PutRevocation {
  Revocation revocation;
};
// A ticket that has opened its stream, and may do so again.
struct UsedTicket {
  std::string id;
  std::string principal;
  Timestamp until;
};
struct PutTicket {
  UsedTicket ticket;
  std::string forgotten{};  // id of one that goes; empty: none
};
// From the event on, times begin anew at `time`: the clock was put back. The log's time `was` later.
struct PutTimeStep {
  Timestamp was, time;
  std::size_t event = 0;
};
// How far a source (room ingest) was read, kept with the events that it brought. `value` is the source's
// own text; `part` is empty, or names one of several (a partition).
struct Position {
  std::string source;
  std::string part;
  std::string value;
  bool operator==(const Position&) const = default;
};
struct PutPosition {
  Position position;
};
// The source begins anew.
struct ForgetPositions {
  std::string source;
};
// A record that could not become an event. The newest limits::dead_letters_max are kept.
struct DeadLetter {
  std::uint64_t id = 0;  // given by the store, growing
  std::string source;
  std::string position;  // of the record
  std::string reason;
  std::string record;  // its beginning, at most limits::event_bytes_max
  Timestamp time;
};
struct PutDeadLetter {
  DeadLetter letter;  // without id
};
using Change =
    std::variant<PutReadState, BeginFollow, EndFollow, PutMutes, Withdraw, EraseUser, PutScheduled,
                 DropScheduled, PutRevocation, PutTicket, PutTimeStep, PutPosition, ForgetPositions,
                 PutDeadLetter>;

// One transaction.
struct Commit {
  std::span<Event> events;  // epoch, offset and seq are filled in; `time` is the caller's
  std::span<const IdempotencyRecord> records{};
  std::span<const Change> changes{};
};

struct Committed {
  std::vector<Offset> withdrawn;      // no longer there: by Withdraw, EraseUser, or replaced by `key`
  std::uint64_t first_scheduled = 0;  // id of the first PutScheduled; the others follow by one
};

// A slice of an erasure.
struct Erased {
  std::vector<Offset> withdrawn;  // ascending
  std::size_t rows = 0;           // these, and others
  bool more = false;              // there may be
};

// How long and how many events of the topics that match are kept. The first rule that matches counts.
struct RetentionRule {
  std::string pattern;
  std::optional<Duration> age{};          // none: as the log
  std::optional<std::uint64_t> events{};  // the newest so many; events of Belfry itself are counted apart
};

struct Opened {
  std::vector<EpochRow> epochs;  // the fresh one last
  Offset head = 0;               // of the log
  Offset indexed = 0;            // rows (indexed, head] belong into the tail
  Timestamp newest{};            // of the newest event that is left; zero if none is
};

// A question for what follows `after`. Selectors as in a session; an event is in the page if one of them
// accepts it.
struct PageRequest {
  std::vector<Selector> selectors;
  Offset after = 0;
  std::size_t events_max = limits::page_events_max;
  std::size_t bytes_max = limits::page_bytes_max;  // the first event is always given
  std::string follows_of{};  // not empty: no events, but what this user followed at `after`
};

struct Page {
  std::vector<Event> events;  // in offset order; expired ones are left out by the caller, who has the time
  Offset upto = 0;   // everything asked for in (after, upto] is in `events`; more may follow after it
  Offset floor = 0;  // the highest floor of a topic asked for: events at or below it may have been trimmed
  std::size_t rows_read = 0;         // rows and index entries looked at, matching or not
  std::vector<std::string> follows;  // for follows_of; `floor` is then that of the user's own topic
  Mutes mutes;                       // for follows_of; as of now
};

// What is kept of a user.
struct UserRows {
  std::vector<Follow> follows;  // ended ones too, in no order
  ReadState read;
  Mutes mutes;
  std::optional<KnownCounts> counted{};  // as of the last mark; PutMutes forgets them
};

// Notifications of a topic in (after, upto].
struct FeedSpan {
  std::string topic;
  Offset after = 0;
  Offset upto = 0;
};
// Offsets in (after, upto].
struct OffsetRange {
  Offset after = 0;
  Offset upto = 0;
};

// The questions of feed. What it costs to count does not depend on how much is counted.
class FeedRows {
 public:
  virtual ~FeedRows() = default;

  // Of everything committed that these rows show.
  virtual Result<Offset> head() = 0;
  virtual Result<UserRows> user(std::string_view user) = 0;
  // Notifications in the span that are still there, without the hidden ones.
  virtual Result<std::uint64_t> count(const FeedSpan& span, const Mutes& mutes) = 0;
  // The same of all spans together, for each of the ranges, which are ascending and do not overlap. Costs,
  // for each topic and type, the ranges that hold something of it, or what they hold if that is less.
  virtual Result<std::vector<std::uint64_t>> tally(std::span<const FeedSpan> spans, const Mutes& mutes,
                                                   std::span<const OffsetRange> ranges) = 0;
  // Changes whenever a notification of the spans' topics is taken out, whatever the reason, and with the
  // set of topics that ever lost one.
  virtual Result<std::uint64_t> removals(std::span<const FeedSpan> spans) = 0;
  // The newest of all spans together that lie in one of the ranges (as for tally), newest first.
  virtual Result<std::vector<Event>> newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                            std::span<const OffsetRange> ranges,
                                            std::size_t items_max) = 0;
  // The topic's floor; 0 if there is no such topic.
  virtual Result<Offset> floor(std::string_view topic) = 0;
  // The event at an offset, if it is still there.
  virtual Result<std::optional<Event>> event_at(Offset offset) = 0;
  // The same without its data; of its notification it is only told whether there is one. Costs the same
  // however large the event is.
  virtual Result<std::optional<Event>> item_at(Offset offset) = 0;
  // Work done so far, in the store's own unit (SQLite: steps of its virtual machine).
  virtual std::uint64_t work() const = 0;
};

class StoreReader {
 public:
  virtual ~StoreReader() = default;

  // `upto` reaches at most what the index holds. A page that is full, that passed limits::page_scan_rows_max
  // rows, or that took limits::page_work_max comparisons, ends earlier; it then still moves forward
  // (upto > after) unless the index ends at `after`.
  virtual Result<Page> read(const PageRequest& request) = 0;
  // All events in (after, upto] in order, at most `rows_max`; for refilling the tail at the start.
  virtual Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) = 0;
  // Asks several things of one and the same state.
  virtual Result<void> snapshot(const std::function<Result<void>(FeedRows&)>& ask) = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  // Begins a new epoch at head + 1. Call once, first.
  virtual Result<Opened> open(Epoch fresh) = 0;

  // Makes the events durable, in order, together with the records and changes: all or nothing. An event
  // with a `key` replaces the earlier one of the same topic and key. Code::store_full: nothing stored, try
  // again later. Code::store_failed: unknown, and the store is closed for good.
  virtual Result<Committed> commit(const Commit& commit) = 0;

  // The record of a key, until it is forgotten; `first` is then an offset.
  virtual Result<std::optional<IdempotencyRecord>> find_idempotency(std::string_view principal,
                                                                    std::string_view key) = 0;
  // Epoch, seq and topic of committed events, for answering a repeated publish. Trimmed ones are left out.
  virtual Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) = 0;

  // The offset up to which the (topic, offset) index is complete; atomic, any thread.
  virtual Offset indexed() const = 0;
  // Completes the index up to the head now. The log calls it before the tail would have to let unindexed
  // rows go.
  virtual Result<void> index_now() = 0;

  // Retention: removes at most `rows_max` of the oldest events with offset <= upto and raises their topics'
  // floors. Completes the index first where it does not reach as far. Returns those that went.
  virtual Result<std::vector<Offset>> trim(Offset upto, std::size_t rows_max) = 0;
  // The same by rules: looks at topics that got events since it last did, and at some others, round and
  // round, and removes at most `rows_max` events. None is too new to go. Returns those that went.
  virtual Result<std::vector<Offset>> sweep(std::span<const RetentionRule> rules, const Now& now,
                                            std::size_t rows_max) = 0;
  // Whether topics that got events still wait to be looked at by sweep.
  virtual bool sweep_unfinished() const = 0;
  // Takes out at most `rows_max` rows of what a user may have very much of: events of users/<id> above
  // `after`, what is scheduled for it or by it, idempotency keys. Completes the index first.
  virtual Result<Erased> erase_some(const EraseUser& erasure, std::size_t rows_max) = 0;
  // Forgets at most `rows_max` idempotency records older than `before`; returns how many went.
  virtual Result<std::size_t> forget_keys(Timestamp before, std::size_t rows_max) = 0;
  // The highest floor of all topics; 0 if retention never took anything. It may lie above `indexed`.
  virtual Result<Offset> highest_floor() = 0;
  // Events that expired by `now`, oldest first; for Withdraw.
  virtual Result<std::vector<Offset>> expired(Timestamp now, std::size_t rows_max) = 0;
  // Scheduled events that are due by `now`, in the order of their times. Where there are more than
  // `rows_max`, each principal may have an even part of them.
  virtual Result<std::vector<Scheduled>> due(Timestamp now, std::size_t rows_max) = 0;
  virtual Result<std::optional<Scheduled>> scheduled(std::uint64_t id) = 0;
  virtual Result<std::vector<Revocation>> revocations() = 0;
  virtual Result<std::vector<UsedTicket>> tickets() = 0;
  // Forgets at most `rows_max` revocations and tickets whose time is over; returns how many went.
  virtual Result<std::size_t> forget_access(Timestamp now, std::size_t rows_max) = 0;
  // Forgets what events left behind that went limits::remains_kept ago or earlier: topics without events
  // with their lanes, ended follows that hold nothing, read states of what is gone. Looks at some, round
  // and round. Returns how many rows went or were made smaller; 0 after a round in which nothing was.
  virtual Result<std::size_t> forget_remains(Timestamp now, std::size_t rows_max) = 0;
  // Of all sources, in the order of their names.
  virtual Result<std::vector<Position>> positions() = 0;
  // Of one source, newest first.
  virtual Result<std::vector<DeadLetter>> dead_letters(std::string_view source, std::size_t rows_max) = 0;
  // For the log-writer: what is committed so far.
  virtual FeedRows& feed_rows() = 0;
  // The newest offset whose event is older than `age`; 0 if none is. How steps of the clock count: TimeLine.
  virtual Result<Offset> last_older(Duration age, const Now& now) = 0;

  // Any thread, after open; the store outlives its readers.
  virtual Result<std::unique_ptr<StoreReader>> open_reader() = 0;
};

}  // namespace belfry
