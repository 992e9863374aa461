#include "ingest/runner.h"

#include <pthread.h>

#include <algorithm>
#include <exception>

namespace belfry::ingest {
namespace {

constexpr Duration kHealthy{30'000};  // who ran so long begins with the shortest pause again
constexpr Duration kForEver{std::chrono::hours(1)};

bool needs_people(Code code) {
  return code == Code::source_gap || code == Code::source_ahead || code == Code::config_invalid;
}

}  // namespace

SourceRunner::SourceRunner(SourceConfig config, Mapping mapping, std::vector<Position> positions,
                           const Clock& clock, SourceContext::Submit submit, Drive drive)
    : context_(std::move(config), std::move(mapping), std::move(positions), clock, std::move(submit)),
      drive_(std::move(drive)),
      thread_([this] { run(); }) {
  const std::string name = "source-" + context_.config().name;
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

void SourceRunner::end() {
  ending_ = true;
  context_.end();
  if (thread_.joinable()) thread_.join();
}

void SourceRunner::reset() {
  reset_ = true;
  context_.stop();
}

void SourceRunner::run() {
  int failures = 0;
  while (!ending_) {
    if (reset_.exchange(false)) {
      context_.go_on();
      if (ending_) return;  // the end may have come just before, and its stop is taken back now
      if (auto forgotten = context_.forget_positions(); !forgotten) reset_ = true;
      failures = 0;
    }
    const Instant began = context_.clock().now();
    Result<void> done;
    try {
      context_.set_state(SourceState::starting);
      done = drive_(context_);
    } catch (const std::exception& exception) {
      done = fail(Code::internal, exception.what());
    }
    if (done || context_.stopping()) continue;
    if (context_.clock().now() - began > kHealthy) failures = 0;
    Error error = std::move(done).error();
    error.detail = without_credentials(std::move(error.detail));
    context_.count_failure();
    if (!pause(error, failures++)) continue;
  }
}

// False: it is over because the source is to stop or to begin anew.
bool SourceRunner::pause(const Error& error, int failures) {
  const std::string& name = context_.config().name;
  if (needs_people(error.code)) {
    if (error.code != Code::config_invalid) context_.alarm(error);
    log_error("the source has stopped", {{"source", name}, {"error", error.text()}});
    context_.set_state(SourceState::stopped, error);
    while (context_.wait(-1, false, kForEver)) continue;
    return false;
  }
  const Duration most = std::min<Duration>(limits::source_pause_max,
                                           limits::source_pause_min * (1 << std::min(failures, 10)));
  const Duration pause{most.count() / 2 +
                       static_cast<Duration::rep>(random_u64() % 1000) * most.count() / 2000};
  log_warn("the source is tried again",
           {{"source", name}, {"error", error.text()}, {"in_ms", std::to_string(pause.count())}});
  context_.set_state(SourceState::waiting, error);
  return context_.wait(-1, false, pause);
}

}  // namespace belfry::ingest
