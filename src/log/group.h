#pragma once
// Private to log: one group of requests on its way.
//
// Owner: Log. Thread: the log-writer. Bound: that of a group (log.h).

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "log/log.h"

namespace belfry {

// What happens to one group of requests, from its mailbox to its answers.
struct Log::Group {
  // Where a request's events went: `durable` and `ephemeral` index the vectors below.
  struct Part {
    std::size_t index = 0;                              // of the request
    std::vector<std::pair<bool, std::size_t>> order{};  // per event: is it durable, and its index
    std::vector<std::optional<Placed>> known{};         // per event, with keys: it was stored before
    std::optional<CommandAnswer> command{};
    std::vector<std::string> scheduled{};  // topics
    std::size_t first_scheduled = 0;       // index among the group's scheduled events
    std::size_t place = 0;                 // of a command: so many of the group's events are before it
    bool stored = false;                   // it brings something to the store
    bool failed = false;                   // and that could not be stored
  };

  std::vector<PublishRequest> requests;
  std::vector<PublishOutcome> outcomes;  // as many
  std::vector<Part> parts;  // requests with something new to store
  std::vector<Event> durable;
  std::vector<Event> ephemeral;
  std::vector<IdempotencyRecord> records;
  std::vector<IdempotencyRecord> event_records;  // of single events; `first` indexes durable
  std::unordered_set<std::string, KeyedHash> event_keys{};  // of these: principal and key
  std::vector<Change> changes;
  std::size_t scheduled = 0;  // PutScheduled among the changes
  Timestamp now;              // of the clock; events have Log::last_time_
  std::size_t rows = 0;       // what has been taken in so far, against the bounds of a group
  std::size_t bytes = 0;
  std::uint64_t work = 0;
  std::vector<std::pair<std::size_t, std::size_t>>
      same_as;  // request, the earlier one of this group with its key
};

}  // namespace belfry
