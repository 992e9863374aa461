#include <pthread.h>

#include <exception>

#include "server/threads.h"

namespace belfry {
namespace {

constexpr std::chrono::seconds kMaintainInterval{1};
constexpr Duration kQuickCommit{1};
constexpr std::size_t kBytesPerCost = 4096;
// Two classes of turns: however many users ask for something, backends have half.
constexpr std::size_t kBackendsClass = 0;
constexpr std::size_t kUsersClass = 1;
constexpr std::uint64_t kErasedPerCost = 2;  // so it also ends where others write to the user all the time
constexpr std::uint64_t kWorkPerCost = 128;  // FeedRows::work: about what writing one event takes

template <class... Functions>
struct Cases : Functions... {
  using Functions::operator()...;
};

// Whose turn it takes: of the user that it is about, else of who sent it. What a backend publishes does not
// wait behind what it erases.
Turn turn_of(const PublishRequest& request) {
  if (request.command && std::holds_alternative<EraseCommand>(*request.command))
    return {kBackendsClass, keyed_hash("erase " + request.principal)};
  std::string_view user;
  if (request.command && request.principal.empty())
    user = std::visit(Cases{[](const MarkCommand& c) { return std::string_view(c.user); },
                            [](const MuteCommand& c) { return std::string_view(c.user); },
                            [](const FollowCommand& c) { return std::string_view(c.user); },
                            [](const auto&) { return std::string_view(); }},
                      *request.command);
  constexpr std::string_view prefix = "user:";
  const std::string_view principal = request.principal;
  if (principal.starts_with(prefix)) user = principal.substr(prefix.size());
  // What the house says to itself (presence) has a turn like a user's.
  if (!user.empty() || principal.empty()) return {kUsersClass, keyed_hash(user)};
  return {kBackendsClass, keyed_hash(principal)};
}

std::size_t bytes_of(const Command& command) {
  return std::visit(Cases{[](const MarkCommand& c) { return c.ids.size() * sizeof(Cursor); },
                          [](const PresenceCommand& c) { return c.words.size() * sizeof(PresenceWord); },
                          [](const auto&) { return std::size_t{0}; }},
                    command);
}

// What a request will cost, where an event of ordinary size costs 1. An erasure has a group of its own.
std::uint64_t cost_of(const PublishRequest& request, std::size_t bytes) {
  if (request.command && std::holds_alternative<EraseCommand>(*request.command))
    return limits::commit_rows_max;
  return 1 + request.events.size() + bytes / kBytesPerCost;
}

}  // namespace

bool push_publish(FairMailbox<PublishJob>& mailbox, PublishRequest&& request, std::size_t shard,
                  std::uint64_t ticket) {
  std::size_t bytes = sizeof(PublishJob);
  for (const Event& event : request.events) bytes += sizeof(Event) + event.bytes();
  if (request.command) bytes += bytes_of(*request.command);
  const Turn turn = turn_of(request);
  const std::uint64_t cost = cost_of(request, bytes);
  return mailbox.push(turn, cost, bytes, {std::move(request), shard, ticket});
}

LogWriter::LogWriter(Log& log, FairMailbox<PublishJob>& mailbox, const Clock& clock, Metrics& metrics,
                     std::size_t shards, Callbacks callbacks)
    : log_(log),
      mailbox_(mailbox),
      clock_(clock),
      commits_(metrics.counter("belfry_commits_total", "Groups committed to the store.")),
      events_(
          metrics.counter("belfry_events_published_total", "Events accepted, ephemeral ones included.")),
      refused_due_(metrics.counter("belfry_scheduled_refused_total",
                                   "Scheduled events not published: who scheduled them was revoked.")),
      time_steps_(metrics.counter("belfry_clock_steps_total",
                                  "Times that the clock was found behind the log and was put back.")),
      ahead_(metrics.gauge("belfry_clock_ahead_seconds",
                           "How far the time of the newest event is ahead of the clock.")),
      shards_(shards),
      callbacks_(std::move(callbacks)),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "log-writer");
}

LogWriter::~LogWriter() {
  mailbox_.close();
  thread_.join();
}

void LogWriter::run() {
  Instant maintained = clock_.now();
  settled_.of(maintained, clock_.wall());
  log_.tick(clock_.wall());
  bool more = false;  // housekeeping to do
  while (mailbox_.wait(more ? std::chrono::seconds{0} : kMaintainInterval)) {
    try {
      commit();
      if (clock_.now() - maintained >= kMaintainInterval) {
        maintained = clock_.now();
        begin_housekeeping();
        more = true;
      }
      if (more) more = housekeep();
    } catch (const std::exception& exception) {
      log_error("log-writer", {{"exception", exception.what()}});
      return callbacks_.failed(fail(Code::internal, exception.what()));
    }
  }
}

// An erasure of much takes many turns, a slice in each; the others have theirs in between. False: it is not
// its turn to be added yet, or it was answered.
bool LogWriter::prepare_erasure(FairMailbox<PublishJob>::Popped& popped) {
  PublishJob& job = popped.item;
  auto* erasure = job.request.command ? std::get_if<EraseCommand>(&*job.request.command) : nullptr;
  if (erasure == nullptr) return true;
  const auto more = log_.erase_some(*erasure);
  if (!more) {
    std::vector<PublishedTicket> answers;
    answers.push_back({job.ticket, more.error()});
    callbacks_.answer(job.shard, std::move(answers));
    return false;
  }
  if (more.value()) mailbox_.give_back(std::move(popped), limits::housekeeping_rows_max / kErasedPerCost);
  return !more.value();
}

// Whoever was given least is next, until the group is full: who asks for much waits for the next group.
std::vector<LogWriter::Asked> LogWriter::fill_group(std::size_t& events) {
  std::vector<Asked> asked;
  const auto fits = [this](const PublishJob& job) { return log_.fits(job.request); };
  while (auto popped = mailbox_.pop_if(fits)) {
    if (!prepare_erasure(*popped)) break;
    PublishJob& job = popped->item;
    asked.push_back({job.shard, job.ticket});
    auto& command = job.request.command;
    if (auto* revoke = command ? std::get_if<RevokeCommand>(&*command) : nullptr) {
      log_.date(*revoke);
      asked.back().revocation = revoke->revocation;
    }
    if (command && std::holds_alternative<EraseCommand>(*command))
      asked.back().erased = std::get<EraseCommand>(*command).user;
    events += job.request.events.size();
    const Log::Added added = log_.add(std::move(job.request));
    if (added.work >= kWorkPerCost) mailbox_.charge(*popped, added.work / kWorkPerCost);
    if (!added.room) break;
  }
  return asked;
}

void LogWriter::commit() {
  if (mailbox_.size() == 0) return;
  const Instant began = clock_.now();
  std::size_t events = 0;
  log_.begin_group(clock_.wall());
  const std::vector<Asked> asked = fill_group(events);
  auto outcomes = log_.commit_group();
  // What queued meanwhile is committed next; shards may wait for it if that is a matter of a millisecond.
  const bool quick = clock_.now() - began <= kQuickCommit;
  log_.tail().expect_more(quick && mailbox_.size() > 0);
  callbacks_.wake_shards();
  if (!asked.empty()) add(commits_, 1);
  add(events_, static_cast<double>(events));
  answer(asked, std::move(outcomes));
  if (log_.failure() && !std::exchange(failure_told_, true)) callbacks_.failed(*log_.failure());
}

void LogWriter::answer(std::span<const Asked> asked, std::vector<PublishOutcome> outcomes) {
  std::vector<std::vector<PublishedTicket>> answers(shards_);
  for (const Asked& one : asked)
    if (one.revocation) callbacks_.revoked(*one.revocation);
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (!asked[i].erased.empty() && outcomes[i]) callbacks_.erased(asked[i].erased);
  for (std::size_t i = 0; i < asked.size(); ++i)
    answers[asked[i].shard].push_back({asked[i].ticket, std::move(outcomes[i])});
  for (std::size_t shard = 0; shard < shards_; ++shard)
    if (!answers[shard].empty()) callbacks_.answer(shard, std::move(answers[shard]));
}

void LogWriter::set_retention(RetentionSettings settings) {
  const std::lock_guard lock(mutex_);
  retention_ = std::move(settings);
}

void LogWriter::begin_housekeeping() {
  {
    const std::lock_guard lock(mutex_);
    if (retention_) log_.set_retention(retention_->longest, std::move(retention_->rules));
    retention_.reset();
  }
  log_.tick(clock_.wall());
  report();
}

void LogWriter::report() {
  const Told now{log_.refused_due(), log_.time_steps(),
                 std::chrono::duration<double>(log_.ahead(clock_.wall())).count()};
  add(refused_due_, static_cast<double>(now.refused_due - told_.refused_due));
  add(time_steps_, static_cast<double>(now.time_steps - told_.time_steps));
  change(ahead_, now.ahead - told_.ahead);
  told_ = now;
}

// One slice, of a few milliseconds; a publish that comes meanwhile waits for it at most. False: that was
// all, or there is trouble, and it is tried again at the next interval.
bool LogWriter::housekeep() {
  const bool waited = settled_.waits();
  const Timestamp settled = settled_.of(clock_.now(), clock_.wall());
  if (settled_.waits() && !waited)
    log_warn("the clock jumped ahead; nothing goes for its age before it has stood for ten minutes",
             {{"from", format_rfc3339(settled)}, {"to", format_rfc3339(clock_.wall())}});
  const auto more = log_.maintain({clock_.wall(), settled});
  // What was due or lost is in the tail.
  callbacks_.wake_shards();
  if (more) return more.value();
  if (more.error().code == Code::store_failed && !std::exchange(failure_told_, true))
    callbacks_.failed(more.error());
  return false;
}

}  // namespace belfry
