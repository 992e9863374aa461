#include "ingest/source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace belfry::ingest {
namespace {

constexpr std::chrono::milliseconds kAnswerLook{500};
constexpr int kLooksAtEnd = 10;

}  // namespace

std::string SourceConfig::text(std::string_view setting) const {
  const auto found = settings.find(setting);
  return found == settings.end() || found->second.empty() ? std::string() : found->second.front();
}

std::vector<std::string> SourceConfig::list(std::string_view setting) const {
  const auto found = settings.find(setting);
  return found == settings.end() ? std::vector<std::string>() : found->second;
}

Result<std::string> SourceConfig::secret(std::string_view setting) const {
  const std::string path = text(std::string(setting) + "_file");
  if (path.empty()) return text(setting);
  std::ifstream file(path);
  std::ostringstream content;
  if (!file || !(content << file.rdbuf())) return fail(Code::source_failed, "Cannot read " + path + ".");
  std::string out = content.str();
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r' || out.back() == ' ')) out.pop_back();
  return out;
}

std::string_view name_of(SourceState state) {
  switch (state) {
    case SourceState::starting:
      return "starting";
    case SourceState::running:
      return "running";
    case SourceState::waiting:
      return "waiting";
    case SourceState::stopped:
      return "stopped";
  }
  return {};
}

std::string without_credentials(std::string text) {
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    // A password may hold a slash: the last @ of the word counts.
    const auto end = text.find_first_of(" \n\"'", at + 3);
    const auto sign = text.rfind('@', end);
    if (sign != std::string::npos && sign > at) text.replace(at + 3, sign - at - 3, "***");
  }
  constexpr std::string_view kWord = "password=";
  for (std::size_t at = text.find(kWord); at != std::string::npos; at = text.find(kWord, at + 1)) {
    const auto begin = at + kWord.size();
    text.replace(begin, std::min(text.find_first_of(" \n&\"", begin), text.size()) - begin, "***");
  }
  return text;
}

SourceContext::SourceContext(SourceConfig config, Mapping mapping, std::vector<Position> positions,
                             const Clock& clock, Submit submit)
    : config_(std::move(config)),
      mapping_(std::move(mapping)),
      clock_(clock),
      submit_(std::move(submit)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_ >= 0);
  status_.name = config_.name;
  status_.kind = config_.kind;
  status_.since = clock_.wall();
  status_.positions = std::move(positions);
}

SourceContext::~SourceContext() { ::close(wake_); }

void SourceContext::map(SourceBatch& batch, const boost::json::value& record, const std::string& position,
                        const Mapping& mapping) const {
  auto events = mapping.events(record);
  if (!events) return bury(batch, shown(record), position, events.error());
  ++batch.records;
  for (Event& event : events.value()) {
    batch.bytes += event.bytes();
    batch.events.push_back(std::move(event));
  }
}

void SourceContext::bury(SourceBatch& batch, std::string_view record, const std::string& position,
                         const Error& reason) const {
  ++batch.records;
  std::string kept(record.substr(0, limits::event_bytes_max));
  if (!is_utf8(kept)) kept = "hex:" + to_hex(kept.substr(0, limits::event_bytes_max / 2));
  batch.bytes += kept.size();
  batch.dead.push_back({0, config_.name, position, reason.text(), std::move(kept), clock_.wall()});
}

Result<void> SourceContext::commit(SourceBatch batch) {
  if (batch.empty()) return {};
  PublishRequest request;
  request.principal = "source:" + config_.name;
  const std::size_t events = batch.events.size(), dead = batch.dead.size();
  request.events = std::move(batch.events);
  for (const auto& [part, value] : batch.positions)
    request.changes.push_back(PutPosition{{config_.name, part, value}});
  for (DeadLetter& letter : batch.dead) {
    log_warn("a record could not become an event",
             {{"source", config_.name}, {"position", letter.position}, {"reason", letter.reason}});
    request.changes.push_back(PutDeadLetter{std::move(letter)});
  }
  TRY(submit(std::move(request)));
  const std::lock_guard lock(mutex_);
  for (auto& [part, value] : batch.positions) {
    auto& all = status_.positions;
    const auto found =
        std::find_if(all.begin(), all.end(), [&part = part](const Position& p) { return p.part == part; });
    found == all.end() ? all.push_back({config_.name, part, std::move(value)})
                       : void(found->value = std::move(value));
  }
  status_.records += batch.records;
  status_.events += events;
  status_.dead_letters += dead;
  return {};
}

Result<void> SourceContext::submit(PublishRequest request) {
  {
    const std::lock_guard lock(mutex_);
    outcome_.reset();
  }
  if (!submit_(std::move(request))) return fail(Code::overloaded);
  std::unique_lock lock(mutex_);
  const auto answered = [this] { return outcome_.has_value(); };
  // A log-writer that has died answers nothing any more; that must not keep the process.
  for (int looks = 0; !answered_.wait_for(lock, kAnswerLook, answered); ++looks)
    if (ending_ && looks > kLooksAtEnd) return fail(Code::shutting_down);
  if (!*outcome_) return outcome_->error();
  return {};
}

void SourceContext::answer(PublishOutcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    outcome_ = std::move(outcome);
  }
  answered_.notify_all();
}

std::string SourceContext::position(std::string_view part) const {
  const std::lock_guard lock(mutex_);
  for (const Position& one : status_.positions)
    if (one.part == part) return one.value;
  return {};
}

Result<void> SourceContext::forget_positions() {
  PublishRequest request;
  request.changes.push_back(ForgetPositions{config_.name});
  TRY(submit(std::move(request)));
  const std::lock_guard lock(mutex_);
  status_.positions.clear();
  status_.alarm.reset();
  return {};
}

void SourceContext::running() { set_state(SourceState::running); }

void SourceContext::set_state(SourceState state, std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  if (status_.state != state) status_.since = clock_.wall();
  status_.state = state;
  status_.error = std::move(error);
}

void SourceContext::set_lag(std::uint64_t lag, std::string_view unit) {
  const std::lock_guard lock(mutex_);
  status_.lag = lag;
  status_.lag_unit = unit;
}

void SourceContext::alarm(const Error& error) {
  log_error("a source lost something", {{"source", config_.name}, {"error", error.text()}});
  const std::lock_guard lock(mutex_);
  status_.alarm = error;
}

void SourceContext::count_failure() {
  const std::lock_guard lock(mutex_);
  ++status_.failures;
}

SourceStatus SourceContext::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void SourceContext::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

void SourceContext::end() {
  ending_ = true;
  stop();
}

void SourceContext::go_on() {
  stopping_ = false;
  std::uint64_t count = 0;
  (void)!::read(wake_, &count, sizeof count);
}

bool SourceContext::wait(int descriptor, bool for_write, Duration most) const {
  pollfd watched[] = {{wake_, POLLIN, 0},
                      {descriptor, static_cast<short>(for_write ? POLLOUT : POLLIN), 0}};
  (void)::poll(watched, descriptor < 0 ? 1 : 2, static_cast<int>(std::max<Duration::rep>(most.count(), 0)));
  return !stopping_;
}

}  // namespace belfry::ingest
