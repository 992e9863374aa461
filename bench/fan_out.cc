// From one publish to many sessions, to ten, to one: cost and delay of a delivery.

#include <algorithm>
#include <cstdio>

#include "compare.h"

namespace belfry::bench {
namespace {

struct Shape {
  const char* name;
  const char* title;
  Transport transport = Transport::sse;
  std::size_t topics = 1, sessions = 1000;  // for each topic
  std::size_t payload = 100, window = 1, publishers = 1;
  std::uint64_t messages = 120;
};

std::string topic_of(std::uint64_t i) { return "bench/" + std::to_string(i); }

std::uint64_t warm_up(const Shape& shape) { return std::max<std::uint64_t>(5, shape.topics / 50); }

Load::Plan plan_of(const Shape& shape, std::uint64_t first, std::uint64_t count) {
  Load::Plan plan;
  plan.count = count;
  plan.window = shape.window;
  plan.payload = shape.payload;
  plan.fanout = shape.sessions;
  // 7919 is a prime: each topic comes once before any comes again, in an order that looks like none.
  plan.topic = [&shape, first](std::uint64_t i) { return topic_of((first + i) * 7919 % shape.topics); };
  plan.number = [&shape, first](std::uint64_t i) { return (first + i) / shape.topics; };
  return plan;
}

Figures measure(Target& target, const Shape& shape, double per_second = 0) {
  Load load(target);
  for (std::size_t t = 0; t < shape.topics; ++t) load.begin(shape.sessions, shape.transport, topic_of(t));
  load.wait_ready();
  load.connect_publishers(shape.publishers);
  load.accept_any_order(shape.publishers > 1 && shape.topics == 1);
  const std::uint64_t warm = warm_up(shape);
  load.play(plan_of(shape, 0, warm));
  const std::uint64_t before = load.deliveries();
  const Cpu used = target.cpu();
  Load::Plan plan = plan_of(shape, warm, shape.messages);
  plan.per_second = per_second;
  if (per_second > 0) plan.window = plan.count;
  const double took = load.play(plan);
  const Cpu spent = target.cpu() - used;
  const auto count = static_cast<double>(std::max<std::uint64_t>(1, load.deliveries() - before));
  Figures out{spent.total_s / count * 1e6, spent.user_s / count * 1e6, count / took};
  out.p50_ms = load.latencies().quantile_ms(0.5);
  out.p99_ms = load.latencies().quantile_ms(0.99);
  out.violations =
      load.violations().total() + shape.messages * shape.sessions - (load.deliveries() - before);
  return out;
}

std::vector<Description> able(const Options& options, Transport transport) {
  auto all = chosen_servers(options);
  std::erase_if(all, [transport](const Description& one) { return one.channel(transport).get.empty(); });
  return all;
}

std::uint64_t run_shape(const Options& options, Shape shape) {
  if (std::string_view(shape.name).find(options.only) == std::string_view::npos) return 0;
  if (options.quick) shape.messages = std::max<std::uint64_t>(shape.messages / 3, 10);
  const auto all = compare(options, able(options, shape.transport), options.pairs,
                           [&](Target& target) { return measure(target, shape); });
  return print_compared(options, shape.name, shape.title, all, Columns::cost);
}

}  // namespace

std::uint64_t run_broadcast(const Options& options) {
  std::printf(
      "One event at a time, the next when all sessions have it. CPU of the server for each delivery.\n");
  constexpr auto kSse = Transport::sse, kWebSocket = Transport::websocket;
  std::uint64_t violations = 0;
  for (const Shape& shape : {
           Shape{"broadcast-sse-1k", "SSE, 1,000 sessions, 100 B", kSse},
           Shape{"broadcast-ws-1k", "WebSocket, 1,000 sessions, 100 B", kWebSocket},
           Shape{"broadcast-http2-1k", "SSE over HTTP/2, 1,000 connections, 100 B", Transport::http2},
           Shape{"broadcast-sse-10k", "SSE, 9,900 sessions, 100 B", kSse, 1, 9900, 100, 1, 1, 15},
           Shape{"broadcast-ws-10k", "WebSocket, 9,900 sessions, 100 B", kWebSocket, 1, 9900, 100, 1, 1,
                 15},
           Shape{"broadcast-http2-10k", "SSE over HTTP/2, 9,900 connections, 100 B", Transport::http2, 1,
                 9900, 100, 1, 1, 15},
           Shape{"broadcast-sse-10k-1KiB", "SSE, 9,900 sessions, 1 KiB", kSse, 1, 9900, 1024, 1, 1, 15},
           Shape{"broadcast-ws-10k-1KiB", "WebSocket, 9,900 sessions, 1 KiB", kWebSocket, 1, 9900, 1024, 1,
                 1, 15},
       })
    violations += run_shape(options, shape);
  return violations;
}

std::uint64_t run_topics(const Options& options) {
  std::printf(
      "64 publishers, each with one request in flight. CPU of the server for each delivery, publish "
      "included.\n");
  return run_shape(options, {"unicast-sse", "9,900 topics, one SSE session each", Transport::sse, 9900, 1,
                             100, 64, 64, 9900}) +
         run_shape(options, {"unicast-ws", "9,900 topics, one WebSocket each", Transport::websocket, 9900,
                             1, 100, 64, 64, 9900}) +
         run_shape(options, {"topics-sse", "990 topics, ten SSE sessions each", Transport::sse, 990, 10,
                             100, 64, 64, 9900});
}

std::uint64_t run_burst(const Options& options) {
  std::printf(
      "16 events in flight, against the limit loop with one event at a time. CPU of the server for each "
      "delivery. Goal: at most 0.12.\n");
  const Shape one{"burst", "", Transport::sse, 1, 1000, 100, 1, 1, options.quick ? 50u : 120u};
  Shape many = one;
  many.window = many.publishers = 16;
  many.messages = options.quick ? 800 : 1920;
  const auto all = compare(options, able(options, one.transport), options.pairs, [&](Target& target) {
    return measure(target, target.name() == "limit" ? one : many);
  });
  return print_compared(options, one.name, "SSE, 1,000 sessions, 100 B", all, Columns::cost);
}

std::uint64_t run_poll(const Options& options) {
  constexpr double kRate = 20;
  std::printf(
      "1,000 long polls of one topic, %.0f events a second; each asks again as soon as it is answered. CPU "
      "of the "
      "server for each delivery.\n",
      kRate);
  const Shape shape{"long-poll", "Long poll, 1,000 sessions, 100 B", Transport::poll, 1, 1000, 100, 1,
                    1,           options.quick ? 40u : 100u};
  const auto all = compare(options, able(options, shape.transport), options.pairs,
                           [&](Target& target) { return measure(target, shape, kRate); });
  return print_compared(options, shape.name, shape.title, all, Columns::cost);
}

std::uint64_t run_latency(const Options& options) {
  std::uint64_t violations = 0;
  for (const auto& [name, title, transport] :
       {std::tuple{"latency-sse", "SSE, 1,000 sessions, 100 B", Transport::sse},
        std::tuple{"latency-ws", "WebSocket, 1,000 sessions, 100 B", Transport::websocket}}) {
    const Shape shape{name, title, transport, 1, 1000, 100, 1, 16, options.quick ? 100u : 250u};
    const auto servers = able(options, transport);
    double rate = 0;
    {
      Target limit(servers.front(), options.bin);
      rate = measure(limit, shape).rate / static_cast<double>(shape.sessions) / 2;
    }
    std::printf(
        "\nEvents are published at %.0f a second, half of what the limit loop can deliver now, whether "
        "or not those before have arrived. From when one was due to its arrival at each session.\n",
        rate);
    const auto all = compare(options, servers, options.pairs,
                             [&](Target& target) { return measure(target, shape, rate); });
    violations += print_compared(options, name, title, all, Columns::latency);
  }
  return violations;
}

}  // namespace belfry::bench
