#pragma once
// All sources of a server: their threads, their webhooks, and what is told about them.
//
// Owner: Server. Thread: any, except start and the destructor. Always: ends before the log-writer, which
// answers what is under way.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/api.h"
#include "ingest/ingest.h"
#include "server/threads.h"

namespace belfry {

class Sources final : public SourcePort {
 public:
  // Takes a request to the log-writer under a ticket.
  using Submit = std::function<bool(PublishRequest&& request, std::uint64_t ticket)>;

  Sources(const Clock& clock, Metrics& metrics, Submit submit)
      : clock_(clock), metrics_(metrics), submit_(std::move(submit)) {}

  // Loads modules and secrets; nothing runs yet. Code::config_invalid.
  Result<void> prepare(const std::vector<ingest::SourceConfig>& configs);
  // Begins to read, each at its position.
  void start(const std::vector<Position>& positions);
  // Ends their threads; webhooks and status stay.
  void stop();

  // The secrets of the webhooks, as these configurations name them now: read first, then taken up, so that
  // nothing is taken if one cannot be read. A webhook that is not named any more has none, and takes
  // nothing.
  using Secrets = std::vector<std::vector<std::string>>;
  Result<Secrets> read_secrets(const std::vector<ingest::SourceConfig>& configs) const;
  void take_secrets(Secrets secrets);

  // Of the log-writer.
  void answer(std::vector<PublishedTicket> answers);
  // Once a second, for /metrics.
  void report();

  std::vector<ingest::SourceStatus> status() const override;
  const ingest::Webhook* webhook(std::string_view name) const override;
  Result<void> reset(std::string_view name) override;

 private:
  struct Prepared {
    ingest::SourceConfig config;
    ingest::Mapping mapping;
    ingest::Drive drive;
  };
  struct Told {  // to /metrics
    ingest::SourceStatus status;
    double lag = 0, up = 0, alarm = 0;
  };
  ingest::SourceContext::Submit submit_for(std::size_t index);

  const Clock& clock_;
  Metrics& metrics_;
  const Submit submit_;
  std::vector<Prepared> prepared_;
  std::vector<std::unique_ptr<ingest::Webhook>> webhooks_;
  std::map<std::string, Told, std::less<>> told_;  // main thread
  std::atomic<std::uint64_t> last_ticket_{0};
  mutable std::mutex mutex_;  // over what follows
  std::vector<std::unique_ptr<ingest::SourceRunner>> runners_;
  std::map<std::uint64_t, std::size_t> waiting_;  // ticket to runner
};

}  // namespace belfry
