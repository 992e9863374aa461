#pragma once
// What a source is to the rest of the house: its configuration, what it brings, and how it stands.
//
// A driver (postgres/, kafka/, mqtt/) reads records, maps them, and hands over batches: the events, the
// records that could not become one, and the position after them. All of a batch is committed in one
// transaction, so a crash neither loses nor doubles a record. Only then does the driver confirm to its
// origin.
//
// Thread: the source's own, except where it says otherwise.

#include <atomic>
#include <boost/json/value.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/mapping.h"
#include "log/log.h"

namespace belfry::ingest {

struct SourceConfig {
  std::string name;  // [A-Za-z0-9_-]
  std::string kind;
  std::map<std::string, std::vector<std::string>, std::less<>> settings;  // checked; lists and single texts
  std::vector<MappingRule> rules;
  bool operator==(const SourceConfig&) const = default;

  // Empty if it is not set.
  std::string text(std::string_view setting) const;
  std::vector<std::string> list(std::string_view setting) const;
  // The file's content if `<setting>_file` is set.
  Result<std::string> secret(std::string_view setting) const;
};

// What was read since the last commit.
struct SourceBatch {
  std::vector<Event> events;
  std::vector<DeadLetter> dead;
  std::vector<std::pair<std::string, std::string>> positions;  // part and value, after these records
  std::size_t records = 0;
  std::size_t bytes = 0;

  bool empty() const { return events.empty() && dead.empty() && positions.empty(); }
  bool full() const {
    return records >= limits::source_batch_records || bytes >= limits::source_batch_bytes;
  }
};

enum class SourceState { starting, running, waiting, stopped };
std::string_view name_of(SourceState state);

// Of one moment; for people, metrics and /readyz.
struct SourceStatus {
  std::string name, kind;
  SourceState state = SourceState::starting;
  Timestamp since{};  // of the state
  std::vector<Position> positions;
  std::uint64_t records = 0, events = 0, dead_letters = 0, failures = 0;
  std::optional<std::uint64_t> lag{};  // in what `lag_unit` says; nothing: not known
  std::string_view lag_unit{};
  std::optional<Error> error{};  // why it waits or has stopped
  std::optional<Error> alarm{};  // what it lost; stays until a reset
};

// What a driver works with. Owner: SourceRunner.
class SourceContext {
 public:
  // Takes a request to the log-writer; false: no room, or it is closed.
  using Submit = std::function<bool(PublishRequest request)>;

  SourceContext(SourceConfig config, Mapping mapping, std::vector<Position> positions, const Clock& clock,
                Submit submit);
  ~SourceContext();
  SourceContext(const SourceContext&) = delete;
  SourceContext& operator=(const SourceContext&) = delete;

  const SourceConfig& config() const { return config_; }
  const Clock& clock() const { return clock_; }

  // Maps a record into the batch: its events, or a dead letter. `position` is for people.
  void map(SourceBatch& batch, const boost::json::value& record, const std::string& position) const {
    map(batch, record, position, mapping_);
  }
  // By another mapping than the configured one.
  void map(SourceBatch& batch, const boost::json::value& record, const std::string& position,
           const Mapping& mapping) const;
  // A record that is not even one.
  void bury(SourceBatch& batch, std::string_view record, const std::string& position,
            const Error& reason) const;
  // Blocks until all of it is durable; on an error nothing is, and the driver ends with it.
  Result<void> commit(SourceBatch batch);
  // As of the last commit; empty: none.
  std::string position(std::string_view part = {}) const;

  // It is read now.
  void running();
  void set_lag(std::uint64_t lag, std::string_view unit);
  // Something was lost. It is told and kept until a reset; the driver decides whether it goes on.
  void alarm(const Error& error);

  bool stopping() const { return stopping_; }
  // Waits until the descriptor (-1: none) has something to read, or to write, or the time is over, or the
  // source is to stop. False: it is to stop.
  bool wait(int descriptor, bool for_write, Duration most) const;

  // Of the runner and other threads.
  void stop();
  void go_on();  // after a stop
  void end();    // stop, for good
  void answer(PublishOutcome outcome);
  void set_state(SourceState state, std::optional<Error> error = {});
  void count_failure();
  Result<void> forget_positions();
  SourceStatus status() const;

 private:
  Result<void> submit(PublishRequest request);

  const SourceConfig config_;
  const Mapping mapping_;
  const Clock& clock_;
  const Submit submit_;
  const int wake_;  // eventfd: readable from stop() on
  std::atomic<bool> stopping_{false}, ending_{false};
  mutable std::mutex mutex_;  // over what follows
  std::condition_variable answered_;
  std::optional<PublishOutcome> outcome_;
  SourceStatus status_;
};

// What libraries say may repeat a URL with its password, and errors are for log lines and people: takes out
// what stands between :// and the last @ of a word, and after password=.
std::string without_credentials(std::string text);

}  // namespace belfry::ingest
