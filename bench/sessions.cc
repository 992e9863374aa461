// What sessions cost without events: memory, connecting, coming back; and publishes without sessions.

#include <algorithm>
#include <cstdio>

#include "compare.h"

namespace belfry::bench {
namespace {

Figures measure_idle(Target& target, Transport transport, std::size_t sessions) {
  Load load(target);
  load.open(100, transport, "bench/1");
  const double began = seconds();
  while (seconds() - began < 1) load.wait_deliveries(0);
  const std::uint64_t user = target.private_memory(), kernel = kernel_memory();
  const Cpu before = target.cpu();
  const double connecting = seconds();
  load.open(sessions, transport, "bench/1");
  const auto count = static_cast<double>(sessions);
  const Cpu spent = target.cpu() - before;
  Figures out{spent.total_s / count * 1e6, spent.user_s / count * 1e6, count / (seconds() - connecting)};
  out.user_bytes = static_cast<double>(target.private_memory() - user) / count;
  out.kernel_bytes = (static_cast<double>(kernel_memory()) - static_cast<double>(kernel)) / count;
  return out;
}

bool resumes(const Description& server) {
  return !server.sse.resume.empty() || !server.websocket.resume.empty();
}

Transport resuming_transport(const Target& target) {
  return target.description().sse.resume.empty() ? Transport::websocket : Transport::sse;
}

// Where a session would go on: over SSE the id of the event that it got, over WebSocket its number, from 1.
std::string position_of(Target& target, const std::string& topic) {
  Load load(target);
  load.keep_ids();
  load.open(1, resuming_transport(target), topic);
  load.connect_publishers(1);
  Load::Plan plan;
  plan.count = 1;
  plan.fanout = 1;
  plan.topic = [&](std::uint64_t) { return topic; };
  plan.number = [](std::uint64_t i) { return i; };
  load.play(plan);
  return resuming_transport(target) == Transport::sse ? load.last_id() : "1";
}

Figures measure_resume(Target& target, std::size_t sessions, const std::string& topic) {
  constexpr std::uint64_t kBehind = 100;
  const std::string since = position_of(target, topic);
  Load load(target);
  load.connect_publishers(1);
  Load::Plan plan;
  plan.count = kBehind;
  plan.topic = [&](std::uint64_t) { return topic; };
  plan.number = [](std::uint64_t i) { return i + 1; };
  plan.until = Load::Until::answered;
  load.play(plan);
  const Cpu before = target.cpu();
  const double began = seconds();
  load.open(sessions, resuming_transport(target), topic, since, 1);
  const bool all = load.wait_deliveries(sessions * kBehind);
  const Cpu spent = target.cpu() - before;
  const auto count = static_cast<double>(sessions);
  Figures out{spent.total_s / count * 1e6, spent.user_s / count * 1e6, count / (seconds() - began)};
  out.violations = load.violations().total() + (all ? 0 : sessions * kBehind - load.deliveries());
  return out;
}

Figures measure_publish(Target& target, std::size_t publishers, std::uint64_t count) {
  Load load(target);
  load.connect_publishers(publishers);
  Load::Plan plan;
  plan.count = count;
  plan.window = publishers;
  plan.topic = [](std::uint64_t i) { return "bench/" + std::to_string(i * 7919 % 10'000); };
  plan.number = [](std::uint64_t i) { return i; };
  plan.until = Load::Until::answered;
  const Cpu before = target.cpu();
  const double took = load.play(plan);
  const Cpu spent = target.cpu() - before;
  const auto all = static_cast<double>(count);
  return {spent.total_s / all * 1e6, spent.user_s / all * 1e6, all / took};
}

}  // namespace

std::uint64_t run_idle(const Options& options) {
  const std::size_t sessions = options.quick ? 2000 : 9900;
  std::printf("Each server fresh; the difference over %zu more sessions on one topic.\n", sessions);
  std::uint64_t violations = 0;
  for (const auto& [name, title, transport] : {std::tuple{"idle-sse", "SSE", Transport::sse},
                                               std::tuple{"idle-ws", "WebSocket", Transport::websocket}}) {
    auto servers = chosen_servers(options);
    std::erase_if(servers, [t = transport](const Description& one) { return one.channel(t).get.empty(); });
    const auto all = compare(
        options, servers, std::min(options.pairs, 3),
        [&](Target& target) { return measure_idle(target, transport, sessions); }, true);
    violations += print_compared(options, name, title, all, Columns::memory);
  }
  return violations;
}

std::uint64_t run_resume(const Options& options) {
  const std::size_t sessions = options.quick ? 500 : 4000;
  std::printf(
      "%zu sessions that are 100 events behind come back at once. CPU of the server for each, connecting "
      "included.\n",
      sessions);
  Options with_history = options;  // the same server, set to remember
  std::replace(with_history.servers.begin(), with_history.servers.end(), std::string("centrifugo"),
               std::string("centrifugo-history"));
  auto servers = chosen_servers(with_history);
  std::erase_if(servers, [](const Description& one) { return one.name != "limit" && !resumes(one); });
  int turn = 0;
  const auto all = compare(options, servers, std::min(options.pairs, 5), [&](Target& target) {
    // The limit loop keeps nothing: it is only asked how fast the machine is, by connects.
    if (target.name() == "limit") return measure_idle(target, Transport::sse, sessions);
    return measure_resume(target, sessions, "resume/" + std::to_string(turn++));
  });
  return print_compared(options, "resume",
                        "SSE with Last-Event-ID, Centrifugo over WebSocket with its offset (the limit "
                        "loop: connecting alone)",
                        all, Columns::cost);
}

std::uint64_t run_post(const Options& options) {
  std::printf(
      "64 publishers to 10,000 topics without sessions, each with one request in flight; CPU of the server "
      "for each. Belfry and Mercure answer when the event is durable, the others when it is in memory.\n");
  const std::uint64_t count = options.quick ? 5000 : 20'000;
  const auto all = compare(options, chosen_servers(options), std::min(options.pairs, 5),
                           [&](Target& target) { return measure_publish(target, 64, count); });
  return print_compared(options, "publish-64", "Publishes", all, Columns::cost);
}

}  // namespace belfry::bench
