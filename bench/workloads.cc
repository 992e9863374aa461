#include "workloads.h"

#include <filesystem>
#include <fstream>

#include "api/token.h"
#include "base/base.h"

namespace belfry::bench {
Options locate(const char* program) {
  const auto folder = std::filesystem::absolute(program).parent_path();
  Options out;
  out.bin = folder.string();
  out.limit = (folder / "belfry_limit").string();
  out.belfry = (folder.parent_path() / "belfry").string();
  return out;
}

Belfry::Belfry(const Options& options, Target::Cores cores, std::string data,
               std::vector<std::string> more) {
  if (data.empty()) data = folder.path("data");
  std::vector<std::string> command{options.belfry, "dev", "--listen", "127.0.0.1:0", "--data", data};
  command.insert(command.end(), more.begin(), more.end());
  target = std::make_unique<Target>("belfry", std::move(command), cores);
  std::ifstream(data + "/jwt_secret") >> secret_;
  std::ifstream(data + "/backend_key") >> target->key;
  const Timestamp now = SystemClock().wall();
  target->token = mint_token({"bench", {"#"}, {}, now, now + std::chrono::hours(12), {}}, secret_);
}

std::string Belfry::token_of(const std::string& user) const {
  const Timestamp now = SystemClock().wall();
  return mint_token({user, {}, {}, now, now + std::chrono::hours(12), {}}, secret_);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string event_body(const std::string& topic, std::uint64_t number, std::size_t payload_bytes) {
  std::string body = "{\"topic\":\"" + topic +
                     "\",\"type\":\"bench\",\"data\":{\"n\":" + std::to_string(number) + ",\"p\":\"";
  return body + std::string(payload_bytes, 'x') + "\"}}";
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all{
      {"broadcast", "Broadcast", run_broadcast, true},
      {"topics", "Many topics", run_topics, true},
      {"burst", "Burst", run_burst, true},
      {"poll", "Long poll", run_poll, true},
      {"latency", "Delay", run_latency, true},
      {"idle", "Idle sessions", run_idle, true},
      {"resume", "Everybody comes back", run_resume, true},
      {"post", "Publishes", run_post, true},
      {"publish", "Durable publishes", run_publish},
      {"full", "Durable publishes to a large store", run_full},
      {"million", "A million idle sessions", run_million},
      {"replay", "A topic from its beginning", run_replay},
      {"rare", "A rare topic behind a busy log", run_rare},
      {"feed", "Feeds", run_feed},
      {"growth", "Growth", run_growth},
      {"slow", "Slow readers", run_slow},
      {"secure", "TLS and HTTP/2, idle", run_secure},
      {"storm", "Everybody at once", run_storm},
      {"quiet", "Nothing to do", run_quiet},
      {"neighbours", "One client does its worst", run_neighbours},
  };
  return all;
}

}  // namespace belfry::bench
