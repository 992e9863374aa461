#include <pthread.h>

#include <exception>

#include "server/threads.h"

namespace belfry {
namespace {

constexpr std::chrono::seconds kMaintainInterval{1};
constexpr Duration kQuickCommit{1};

}  // namespace

LogWriter::LogWriter(Log& log, Mailbox<PublishJob>& mailbox, const Clock& clock, Metrics& metrics,
                     std::size_t shards, Callbacks callbacks)
    : log_(log),
      mailbox_(mailbox),
      clock_(clock),
      commits_(metrics.counter("belfry_commits_total", "Groups committed to the store.")),
      events_(
          metrics.counter("belfry_events_published_total", "Events accepted, ephemeral ones included.")),
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
  std::vector<PublishJob> jobs;
  Instant maintained = clock_.now();
  while (mailbox_.wait_take(jobs, kMaintainInterval)) {
    try {
      if (!jobs.empty()) commit(jobs);
      jobs.clear();
      if (clock_.now() - maintained < kMaintainInterval) continue;
      maintain();
      maintained = clock_.now();
    } catch (const std::exception& exception) {
      log_error("log-writer", {{"exception", exception.what()}});
      return callbacks_.failed(fail(Code::internal, exception.what()));
    }
  }
}

void LogWriter::commit(std::vector<PublishJob>& jobs) {
  std::vector<PublishRequest> requests;
  requests.reserve(jobs.size());
  for (auto& job : jobs) requests.push_back(std::move(job.request));
  std::size_t at = 0;
  while (at < requests.size()) {
    const std::span<PublishRequest> rest(requests.begin() + static_cast<std::ptrdiff_t>(at),
                                         requests.end());
    const std::size_t count = Log::group_size(rest);
    std::size_t events = 0;
    for (const auto& request : rest.first(count)) events += request.events.size();
    const Instant began = clock_.now();
    auto outcomes = log_.publish(rest.first(count), clock_.wall());
    // What queued meanwhile is committed next; shards may wait for it if that is a matter of a millisecond.
    const bool quick = clock_.now() - began <= kQuickCommit;
    log_.tail().expect_more(quick && (at + count < requests.size() || mailbox_.size() > 0));
    callbacks_.wake_shards();
    add(commits_, 1);
    add(events_, static_cast<double>(events));
    std::vector<std::vector<PublishedTicket>> answers(shards_);
    for (const auto& outcome : outcomes)
      if (outcome && outcome.value().command && outcome.value().command->revoked)
        callbacks_.revoked(*outcome.value().command->revoked);
    for (std::size_t i = 0; i < count; ++i)
      answers[jobs[at + i].shard].push_back({jobs[at + i].ticket, std::move(outcomes[i])});
    for (std::size_t shard = 0; shard < shards_; ++shard)
      if (!answers[shard].empty()) callbacks_.answer(shard, std::move(answers[shard]));
    at += count;
  }
  if (log_.failure() && !std::exchange(failure_told_, true)) callbacks_.failed(*log_.failure());
}

void LogWriter::set_retention(RetentionSettings settings) {
  const std::lock_guard lock(mutex_);
  retention_ = std::move(settings);
}

void LogWriter::maintain() {
  {
    const std::lock_guard lock(mutex_);
    if (retention_) log_.set_retention(retention_->longest, std::move(retention_->rules));
    retention_.reset();
  }
  // Slices of a few milliseconds; a publish that comes meanwhile waits for one of them at most.
  for (int slice = 0; slice < 8; ++slice) {
    const auto more = log_.maintain(clock_.wall());
    if (!more) {
      if (more.error().code == Code::store_failed && !std::exchange(failure_told_, true))
        callbacks_.failed(more.error());
      return;
    }
    if (!more.value() || mailbox_.size() > 0) return;
  }
}

}  // namespace belfry
