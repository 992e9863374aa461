#include "workloads.h"

#include <filesystem>
#include <fstream>

#include "api/token.h"
#include "base/base.h"

namespace belfry::bench {
namespace {

constexpr double kAgreement = 1.35;  // pairs whose two limit runs differ by more are dropped

struct Run {
  double user_us = 0, total_us = 0;  // per delivery
  std::uint64_t violations = 0;
};

// One server, warmed up, then `messages` events one after the other to all sessions.
Run measure(Target& target, std::size_t sessions, std::size_t messages, std::size_t window) {
  const bool concurrent = window > 1;
  Load load(target, concurrent ? "\"seq\":" : "\"n\":");
  load.open(sessions, Transport::sse, "bench/1", {}, concurrent ? unknown_number : 0);
  load.connect_publishers(window);
  std::uint64_t number = 0;
  const auto body = [&number](std::uint64_t) { return event_body("bench/1", number++, 100); };
  load.publish(5, window, body, Load::Until::delivered);
  const Cpu before = target.cpu();
  const std::uint64_t delivered = load.deliveries();
  load.publish(messages, window, body, Load::Until::delivered);
  const Cpu used = target.cpu() - before;
  const auto count = static_cast<double>(load.deliveries() - delivered);
  const std::uint64_t missing = messages * sessions - (load.deliveries() - delivered);
  return {used.user_s / count * 1e6, used.total() / count * 1e6, load.violations().total() + missing};
}

struct Pair {
  Run limit, belfry;
};

// limit, belfry, limit: kept only if the machine was steady meanwhile.
std::vector<Pair> measure_pairs(const Options& options, std::size_t sessions, std::size_t messages,
                                std::size_t window, std::size_t belfry_window, int pairs,
                                std::uint64_t& violations) {
  std::vector<Pair> kept;
  Target limit("limit", {options.limit});
  Belfry belfry(options);
  Run before = measure(limit, sessions, messages, window);
  for (int tries = 0; static_cast<int>(kept.size()) < pairs && tries < pairs * 3; ++tries) {
    const Run middle = measure(*belfry.target, sessions, messages * belfry_window / window, belfry_window);
    const Run after = measure(limit, sessions, messages, window);
    violations += middle.violations + after.violations;
    const double disagreement =
        std::max(before.total_us, after.total_us) / std::min(before.total_us, after.total_us);
    if (disagreement <= kAgreement) {
      const Run mean{(before.user_us + after.user_us) / 2, (before.total_us + after.total_us) / 2, 0};
      kept.push_back({mean, middle});
    }
    before = after;
    std::fprintf(stderr, "\r%zu of %d pairs   ", kept.size(), pairs);
  }
  std::fprintf(stderr, "\r                    \r");
  return kept;
}

void print_pairs(const char* what, const std::vector<Pair>& pairs) {
  std::vector<double> ratios, extra, user, total, limit_user, limit_total;
  for (const auto& pair : pairs) {
    ratios.push_back(pair.belfry.total_us / pair.limit.total_us);
    extra.push_back(pair.belfry.user_us - pair.limit.user_us);
    user.push_back(pair.belfry.user_us);
    total.push_back(pair.belfry.total_us);
    limit_user.push_back(pair.limit.user_us);
    limit_total.push_back(pair.limit.total_us);
  }
  if (pairs.empty()) {
    std::printf("| %s | 0 | no two limit runs agreed | | | | |\n", what);
    return;
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("| %s | %zu | %.2f | %.2f | %.2f | %.2f | %.2f (%.2f to %.2f) |\n", what, pairs.size(),
              median(limit_user), median(user), median(extra), median(total), median(ratios), *least,
              *most);
}

}  // namespace

Options locate(const char* program) {
  const auto folder = std::filesystem::absolute(program).parent_path();
  return {(folder / "belfry_limit").string(), (folder.parent_path().parent_path() / "belfry").string(),
          false};
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

std::uint64_t run_broadcast(const Options& options) {
  std::uint64_t violations = 0;
  std::printf(
      "CPU per delivery in µs, 100-byte payload, one event at a time. Goal: at most 0.4 µs of user time "
      "above the limit.\n\n"
      "| sessions | pairs | limit user | belfry user | user above limit | belfry total | total, ratio to "
      "limit |\n"
      "|---|---|---|---|---|---|---|\n");
  const int pairs = options.quick ? 3 : 10;
  print_pairs("1,000", measure_pairs(options, 1000, options.quick ? 100 : 300, 1, 1, pairs, violations));
  print_pairs("10,000", measure_pairs(options, options.quick ? 2000 : 9900, 30, 1, 1, pairs, violations));
  return violations;
}

std::uint64_t run_burst(const Options& options) {
  std::uint64_t violations = 0;
  std::printf(
      "16 events in flight to 1,000 sessions, against the limit loop's one event at a time. Goal: at most "
      "0.2.\n\n"
      "| sessions | pairs | limit user | belfry user | user above limit | belfry total | total, ratio to "
      "limit |\n"
      "|---|---|---|---|---|---|---|\n");
  print_pairs("1,000", measure_pairs(options, 1000, options.quick ? 50 : 100, 1, 16, options.quick ? 3 : 10,
                                     violations));
  return violations;
}

std::uint64_t run_lone(const Options& options) {
  std::uint64_t violations = 0;
  const int rounds = options.quick ? 100 : 400;
  std::printf(
      "A lone event on an idle server, one session: from the publish to its delivery, in µs.\n\n"
      "| server | p50 | p99 |\n|---|---|---|\n");
  Belfry belfry(options);
  Target limit("limit", {options.limit});
  for (Target* target : {&limit, belfry.target.get()}) {
    Load load(*target);
    load.open(1, Transport::sse, "bench/1");
    load.connect_publishers(1);
    std::vector<double> latencies;
    std::uint64_t number = 0;
    for (int i = 0; i < rounds; ++i) {
      const double began = seconds();
      const std::uint64_t before = load.deliveries();
      load.publish(
          1, 1, [&](std::uint64_t) { return event_body("bench/1", number++, 100); },
          Load::Until::delivered);
      if (load.deliveries() > before) latencies.push_back((seconds() - began) * 1e6);
    }
    violations += load.violations().total() + static_cast<std::uint64_t>(rounds) - latencies.size();
    std::sort(latencies.begin(), latencies.end());
    std::printf("| %s | %.0f | %.0f |\n", target->name().c_str(), median(latencies),
                latencies[latencies.size() * 99 / 100]);
  }
  return violations;
}

std::uint64_t run_idle(const Options& options) {
  const std::size_t sessions = options.quick ? 2000 : 9900;
  std::printf(
      "Private memory of an idle session with one topic and an expiring token; difference over %zu. Goal: "
      "at most 1024.\n\n"
      "| transport | bytes a session |\n|---|---|\n",
      sessions);
  for (const auto& [name, transport] :
       {std::pair{"SSE", Transport::sse}, std::pair{"WebSocket", Transport::websocket}}) {
    Belfry belfry(options);
    Load load(*belfry.target);
    load.open(100, transport, "bench/1");
    const double began = seconds();
    while (seconds() - began < 1) load.wait_deliveries(0);
    const std::uint64_t before = belfry.target->private_memory();
    load.open(sessions, transport, "bench/1");
    const std::uint64_t after = belfry.target->private_memory();
    std::printf("| %s | %.0f |\n", name,
                static_cast<double>(after - before) / static_cast<double>(sessions));
  }
  return 0;
}

std::uint64_t run_resume(const Options& options) {
  const std::size_t sessions = options.quick ? 1000 : 9900;
  Belfry belfry(options);
  Load load(*belfry.target);
  load.connect_publishers(1);
  load.publish(1, 1, [](std::uint64_t) { return event_body("bench/1", 0, 100); }, Load::Until::answered);
  const auto first = net_cursor(*belfry.target, "bench/1");
  std::string batch = "[";
  for (std::uint64_t n = 1; n <= 100; ++n) batch += event_body("bench/1", n, 100) + (n < 100 ? "," : "]");
  load.publish(1, 1, [&](std::uint64_t) { return batch; }, Load::Until::answered);
  const Cpu before = belfry.target->cpu();
  load.open(sessions, Transport::sse, "bench/1", first, 1);
  const bool all = load.wait_deliveries(sessions * 100);
  const Cpu used = belfry.target->cpu() - before;
  std::printf(
      "%zu sessions that are 100 events behind come back at once.\n\n"
      "| delivered | CPU per session in µs, connecting included | pages read from the store "
      "|\n|---|---|---|\n"
      "| %llu of %zu | %.1f | %.0f |\n",
      sessions, static_cast<unsigned long long>(load.deliveries()), sessions * 100,
      used.total() / static_cast<double>(sessions) * 1e6, belfry.target->metric("belfry_pages_total"));
  return load.violations().total() + (all ? 0 : 1);
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all{
      {"broadcast", "Broadcast", run_broadcast},
      {"burst", "Burst", run_burst},
      {"lone", "A lone event", run_lone},
      {"idle", "Idle sessions", run_idle},
      {"publish", "Durable publishes", run_publish},
      {"resume", "Everybody comes back", run_resume},
      {"rare", "A rare topic behind a busy log", run_rare},
      {"feed", "Feeds", run_feed},
      {"slow", "Slow readers", run_slow},
      {"secure", "TLS and HTTP/2, idle", run_secure},
      {"storm", "Everybody at once", run_storm},
      {"quiet", "Nothing to do", run_quiet},
  };
  return all;
}

}  // namespace belfry::bench
