#pragma once
// The thread of one source: drives it, and after a failure again, with a growing pause and jitter. What
// cannot be mended by trying again (a gap, a restored origin, a wrong setting) stops it until a reset.
//
// Owner: server. Thread: makes its own; reset(), answer() and status() may be called from any.
// Always: the driver begins at the last committed position.

#include <functional>
#include <thread>

#include "ingest/source.h"

namespace belfry::ingest {

// Reads until it is told to stop (success) or fails.
using Drive = std::function<Result<void>(SourceContext& context)>;

class SourceRunner {
 public:
  SourceRunner(SourceConfig config, Mapping mapping, std::vector<Position> positions, const Clock& clock,
               SourceContext::Submit submit, Drive drive);
  // Ends the thread; the log-writer must still answer.
  void end();
  ~SourceRunner() { end(); }

  void answer(PublishOutcome outcome) { context_.answer(std::move(outcome)); }
  SourceStatus status() const { return context_.status(); }
  // Forgets the position and begins as the configuration says.
  void reset();

 private:
  void run();
  bool pause(const Error& error, int failures);

  SourceContext context_;
  const Drive drive_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> reset_{false};
  std::thread thread_;
};

}  // namespace belfry::ingest
