#pragma once
// Who is listening, and what each still needs.
//
// Route:  log/tail -> Shard::advance -> topic index -> sessions -> outlets.
// Owner:  one Shard per shard thread (server); in the simulator, all in one thread. No I/O: the store's
// pages are
//         asked for through PageSource and come back by Shard::on_page; time comes in as an argument.
// Bound:  a session holds a cursor and never a queue. What is gathered in a turn is gone at its end.
// Always: a session gets every event after its position that it asked for, in offset order, once; whoever
// cannot
//         get it gets a Reset first. A position never passes an event that was not taken by the outlet.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/base.h"
#include "hub/outlet.h"
#include "log/log.h"
#include "model/model.h"

namespace belfry {

// Slot in the low 32 bits, the slot's generation above: an answer to a dead session finds nobody.
using SessionId = std::uint64_t;

struct PageQuestion {
  SessionId session = 0;
  std::uint32_t number = 0;  // among the session's questions: only the newest may be answered
  std::uint64_t owner = 0;   // whose turn it takes at the readers: of the user, or of a backend's session
  PageRequest request;
};

struct PageAnswer {
  SessionId session = 0;
  std::uint32_t number = 0;  // of the question that it answers
  Result<Page> page;
};

class PageSource {
 public:
  virtual ~PageSource() = default;
  // False: no room; the session asks again at the next tick.
  virtual bool ask(PageQuestion question) = 0;
};

struct Attach {
  std::vector<Selector> selectors;
  Offset position = 0;                    // everything up to here is known to the client
  bool from_earliest = false;             // position is 0 and what retention took is not missed
  std::optional<ResetReason> reset;       // to be told first
  Timestamp expires{Duration::max()};     // the token's; the session is ended then
  Credential credential{};                // by which its token's revocation finds it
  std::string user{};                     // who appears on topics that keep presence; empty: nobody
  std::string feed_of{};                  // not empty: this user's feed too
  std::vector<std::string> feed_types{};  // of the feed; empty: all
  std::uint64_t ticket = 0;               // by which the stream was opened: its keyed hash; 0: none
};

// Hears who is attached to the topics that keep presence. Called on the shard's thread.
class PresencePort {
 public:
  virtual ~PresencePort() = default;
  virtual void joined(const std::string& topic, const std::string& user) = 0;
  virtual void left(const std::string& topic, const std::string& user) = 0;
};

// Counts since the shard began; read on its thread.
struct ShardCounts {
  std::uint64_t delivered = 0;  // events taken by outlets
  std::uint64_t writes = 0;     // Outlet::write calls
  std::uint64_t pages = 0;      // pages asked of the store
  std::uint64_t resets = 0;
  std::uint64_t ephemeral_dropped = 0;
  std::uint64_t overruns = 0;  // times the tail had moved on before the shard looked
};

// Switches that plant a known bug, for the simulator to catch. Always default outside tests/sim.
struct Planted {
  bool heartbeat_tells_head = false;  // a session that is behind is told the log's head as its position
  bool ignore_floor = false;          // trimmed events are not missed
  bool skip_commits_during_replay =
      false;                           // a session goes live at the head it saw when it asked for a page
  bool position_past_untaken = false;  // a refused entry counts as written
  bool accept_stale_page = false;      // a page asked for with other selectors is taken
  bool accept_any_answer = false;      // an answer to an earlier question is taken for one to the newest
  bool forget_late_topic = false;      // a subscription added while behind starts at the head
  bool repeat_after_block = false;     // the last taken entry is written again
  bool newest_first_page = false;      // entries of a page are written in topic order, not in offset order
  bool ignore_overrun = false;         // a shard that was overrun goes on as if nothing had happened
  bool skip_type_filter = false;
  bool ignore_expiry = false;           // sessions outlive their tokens
  bool collapse_across_topics = false;  // refresh events of different topics replace each other
  bool follow_from_now = false;         // a session that is behind follows what is followed now
  bool ignore_mutes = false;
  bool ignore_follow_floor = false;  // changes of follows that retention took are not missed
  bool ignore_revocation = false;    // sessions outlive a revocation of their user
  bool revoke_bystanders = false;    // whose token is newer is ended, too
  bool unbounded_turn = false;       // all that are behind are served in one turn
  bool behind_first = false;         // those that are behind come before those that are live
  bool one_lane = false;             // users do not take turns
};

struct ShardOptions {
  FeedChangeOf feed_change_of = nullptr;
  std::vector<std::string> presence{};  // patterns of the topics that keep it
  PresencePort* presence_port = nullptr;
  Planted planted{};
  Duration heartbeat = std::chrono::duration_cast<Duration>(limits::heartbeat_interval);  // 0: none
  std::size_t turn_work = limits::turn_work_max;  // budgets of a turn; less in the simulator
  std::size_t turn_news = limits::turn_news_max;
  std::size_t slice_work = limits::slice_work_max;
};

struct Session;

class Shard {
 public:
  // The tail and the pages outlive the shard.
  Shard(const Tail& tail, PageSource& pages, ShardOptions options = {});
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // The outlet hears nothing before advance() or pump().
  SessionId attach(Outlet& outlet, Attach attach, Instant now);
  // Forgets the session; its outlet hears nothing more. Unknown ids are ignored, here and below.
  void detach(SessionId id);
  // Added selectors begin at the session's position. Selectors already there are ignored. False, and
  // nothing is added, if the session would have more than limits::stream_topics_max beside its feed.
  // `user`: who then appears on those that keep presence.
  bool subscribe(SessionId id, const std::vector<Selector>& selectors, const std::string& user = {});
  void unsubscribe(SessionId id, const std::vector<Selector>& selectors);
  void renew(SessionId id, Timestamp expires, const Credential& credential);
  // Ends the sessions whose token it concerns.
  void revoke(const Revocation& revocation, Timestamp now);
  // Ends the sessions that one of these keys (Credential::key) vouched for.
  void end_keys(const std::vector<std::uint64_t>& keys);
  // The session that was opened with this ticket ends.
  void end_ticket(std::uint64_t ticket);
  // It goes on, without the topics that the rights do not grant any more.
  void renew_ticket(std::uint64_t ticket, const Principal& principal);
  // What it asked for itself, the feed's topics apart.
  std::vector<Selector> selectors(SessionId id) const;
  void writable(SessionId id);

  // One turn: takes what is new from the tail, gives it to the sessions that have caught up (one write
  // each), then pumps those that are behind (one write each), users taking turns, as many as
  // limits::turn_work_max allows. True if sessions that are behind could go on at once: call it again, after
  // a look at what else there is to do.
  bool advance(Timestamp now);
  void on_page(PageAnswer answer, Timestamp now);
  // Expiry and heartbeats; every limits::tick_interval.
  void tick(Instant now, Timestamp wall);
  // Ends every session with the code; or so many; or those whose client takes nothing.
  void end_all(Code code);
  void end_some(Code code, std::size_t count);
  void end_blocked(Code code);

  // Nothing before a reset is told that gives the session another place than its client came with.
  std::optional<Offset> position(SessionId id) const;
  Offset head() const { return head_; }
  std::size_t sessions() const { return session_count_; }
  const ShardCounts& counts() const { return counts_; }

 private:
  struct Parts;  // sessions, topic index, view of the tail

  Session* find(SessionId id) const;
  static bool awaits_place(const Session& session);
  void forget(Session& session);
  // Of the sessions for which `concerned` says so.
  template <class Concerned>
  void end_where(Code code, Concerned concerned);
  void take_news(Timestamp now);
  bool fetch_news();
  void take_entry(const Entry& entry, Timestamp now);
  void overrun(Offset low);
  using Patterns = std::vector<const struct PatternGroups*>;
  void deliver(const Entry& entry, const Patterns& patterns);
  void miss(const Entry& entry, std::uint64_t loss, const Patterns& patterns);
  void deliver_ephemeral(const Entry& entry);
  void gather(Session& session, const Entry& entry);
  void write_single(Session& session, const Entry& entry);
  void flush();
  void flush_session(Session& session, Offset base);
  void pump_ready(Timestamp now);
  void pump(Session& session, Timestamp now);
  bool tell_reset(Session& session);
  void forgive(Session& session, std::uint64_t losses) const;
  void lose(Session& session, Offset floor);
  void ask_page(Session& session);
  void take_page(Session& session, Page& page, Timestamp now);
  // Offers the entries; moves the position to `upto` if all are taken. False if the session can not go on
  // now.
  bool offer(Session& session, std::vector<const Entry*>& entries, Offset upto, Timestamp now);
  void settle(Session& session, OutletState state);
  void make_ready(Session& session);
  void enqueue(const Session& session);
  std::int64_t next_heartbeat(Instant now) const;
  void retry_later(Session& session);
  bool keeps_presence(const std::string& topic) const;
  void appear(Session& session, const std::vector<Selector>& selectors, const std::string& user);
  void disappear(Session& session, const std::vector<Selector>& selectors);
  void vanish(Session& session);
  void attach_feed(Session& session, Attach& attach);
  bool of_feed(const Session& session, const Selector& selector) const;
  bool has_room(const Session& session, const std::vector<Selector>& more) const;
  bool changes_feed(const Session& session, const Event& event) const;
  bool hidden(const Session& session, const Event& event) const;
  const Entry* cut_at_change(const Session& session, std::vector<const Entry*>& entries,
                             Offset& upto) const;
  void hold_before(Session& session, Offset offset);
  void take_follows(Session& session, Page& page);
  void change_feed(Session& session, const Event& event);
  void join_feed(Session& session, const std::string& topic);
  void leave_feed(Session& session);
  void follow_anew(Session& session);

  const Tail& tail_;
  PageSource& pages_;
  const ShardOptions options_;
  const Planted& planted_ = options_.planted;
  Offset head_ = 0;
  std::size_t session_count_ = 0;
  ShardCounts counts_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace belfry
