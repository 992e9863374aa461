// What a hostile or a crowded world costs: slow readers, encrypted and multiplexed idle streams, everybody
// back at once, and nothing at all.

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "workloads.h"

namespace belfry::bench {
namespace {

int connect_to(int port) {
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval patience{20, 0};
  ::setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::perror("bench: connect");
    std::exit(1);
  }
  return made;
}

std::string get_stream(const Target& target) {
  return "GET /v1/events?topic=bench/1 HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\nAuthorization: "
         "Bearer " +
         target.token + "\r\n\r\n";
}

// An idle stream of server-sent events over TLS.
class TlsStream {
 public:
  TlsStream(SSL_CTX* context, const Target& target)
      : socket_(connect_to(target.port())), ssl_(SSL_new(context)) {
    SSL_set_fd(ssl_, socket_);
    if (SSL_connect(ssl_) != 1) return;
    const std::string request = get_stream(target);
    SSL_write(ssl_, request.data(), static_cast<int>(request.size()));
    std::string text;
    char buffer[4096];
    while (text.find("\nid:") == std::string::npos) {
      const int got = SSL_read(ssl_, buffer, sizeof buffer);
      if (got <= 0) return;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    good_ = true;
  }
  ~TlsStream() {
    SSL_free(ssl_);
    ::close(socket_);
  }
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  bool good() const { return good_; }

 private:
  int socket_;
  SSL* ssl_;
  bool good_ = false;
};

std::string frame(char type, char flags, std::uint32_t stream, const std::string& payload) {
  const std::size_t size = payload.size();
  std::string out{static_cast<char>(size >> 16), static_cast<char>(size >> 8), static_cast<char>(size),
                  type, flags};
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(stream >> shift);
  return out + payload;
}

std::string literal(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  for (const auto text : {name, value}) {
    if (text.size() < 127) {
      out += static_cast<char>(text.size());
    } else {
      const std::size_t rest = text.size() - 127;
      out += static_cast<char>(127);
      if (rest >= 128) out += static_cast<char>(0x80 | (rest & 127));
      out += static_cast<char>(rest >= 128 ? rest >> 7 : rest);
    }
    out += text;
  }
  return out;
}

// Idle streams of server-sent events on one HTTP/2 connection, in clear text.
class Http2Streams {
 public:
  Http2Streams(const Target& target, std::size_t count) : socket_(connect_to(target.port())) {
    std::string out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "");
    for (std::size_t i = 0; i < count; ++i)
      out += frame(1, 5, static_cast<std::uint32_t>(2 * i + 1),
                   literal(":method", "GET") + literal(":scheme", "http") +
                       literal(":path", "/v1/events?topic=bench/1") + literal(":authority", "b") +
                       literal("accept", "text/event-stream") +
                       literal("authorization", "Bearer " + target.token));
    for (std::string_view rest = out; !rest.empty();) {
      const ssize_t sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::string text;
    char buffer[65536];
    std::size_t begun = 0;
    while (begun < count) {
      const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      text.append(buffer, static_cast<std::size_t>(got));
      begun = 0;
      for (auto at = text.find("\nid:"); at != std::string::npos; at = text.find("\nid:", at + 1)) ++begun;
    }
    good_ = true;
  }
  ~Http2Streams() { ::close(socket_); }
  Http2Streams(const Http2Streams&) = delete;
  Http2Streams& operator=(const Http2Streams&) = delete;
  bool good() const { return good_; }

 private:
  int socket_;
  bool good_ = false;
};

// Opens `first`, then `count` more, and gives the private memory of each of the later ones.
template <class Make>
double memory_of_each(const Target& target, std::size_t first, std::size_t count, std::uint64_t& failed,
                      Make make) {
  std::vector<decltype(make())> open;
  for (std::size_t i = 0; i < first; ++i) open.push_back(make());
  ::sleep(1);
  const std::uint64_t before = target.private_memory();
  for (std::size_t i = 0; i < count; ++i) open.push_back(make());
  ::sleep(1);
  const std::uint64_t after = target.private_memory();
  for (const auto& one : open) failed += one->good() ? 0 : 1;
  return static_cast<double>(after - before) / static_cast<double>(count);
}

double percentile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * part)];
}

// Times from the publish until every reading session has the event, and until its publisher has the answer.
std::vector<double> time_broadcasts(Load& load, int rounds, std::uint64_t& number) {
  std::vector<double> out;
  for (int i = 0; i < rounds; ++i) {
    const double began = seconds();
    load.publish(
        1, 1, [&](std::uint64_t) { return event_body("bench/1", number++, 1000); }, Load::Until::delivered);
    out.push_back((seconds() - began) * 1e3);
  }
  return out;
}

}  // namespace

std::uint64_t run_slow(const Options& options) {
  const std::size_t sessions = options.quick ? 1000 : 4500, slow = sessions / 9;
  const int rounds = options.quick ? 50 : 200;
  Belfry belfry(options);
  Load load(*belfry.target);
  load.open(sessions, Transport::sse, "bench/1");
  load.connect_publishers(1);
  std::uint64_t number = 0;
  time_broadcasts(load, 20, number);
  std::vector<double> ratios;
  std::vector<std::uint64_t> memory;
  std::vector<double> without = time_broadcasts(load, rounds, number);
  std::vector<int> stuck;
  for (std::size_t i = 0; i < slow; ++i) {
    const int socket = connect_to(belfry.target->port());
    const int small = 4096;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    const std::string request = get_stream(*belfry.target);
    if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0) return 1;
    stuck.push_back(socket);
  }
  time_broadcasts(load, 20, number);
  const std::uint64_t before = belfry.target->private_memory();
  std::vector<double> with = time_broadcasts(load, rounds, number);
  const std::uint64_t half = belfry.target->private_memory();
  std::vector<double> again = time_broadcasts(load, rounds, number);
  const std::uint64_t after = belfry.target->private_memory();
  for (const int socket : stuck) ::close(socket);
  time_broadcasts(load, 20, number);
  std::vector<double> without_again = time_broadcasts(load, rounds, number);
  without.insert(without.end(), without_again.begin(), without_again.end());
  with.insert(with.end(), again.begin(), again.end());
  const double p99_without = percentile(without, 0.99), p99_with = percentile(with, 0.99);
  std::printf(
      "%zu sessions read, %zu beside them take nothing. Time until an event of 1 KB has reached all that "
      "read. "
      "Goals: p99 at most 1.2 times as without; no growth with the backlog.\n\n"
      "| | p50 ratio | p99 ratio | memory in the first half, MiB | in the second half, MiB "
      "|\n|---|---|---|---|---|\n"
      "| with slow readers | %.2f | %.2f | %.1f | %.1f |\n",
      sessions, slow, percentile(with, 0.5) / percentile(without, 0.5), p99_with / p99_without,
      (static_cast<double>(half) - static_cast<double>(before)) / 1048576,
      (static_cast<double>(after) - static_cast<double>(half)) / 1048576);
  return load.violations().total();
}

std::uint64_t run_secure(const Options& options) {
  std::uint64_t failed = 0;
  std::printf(
      "Private memory of what is idle. Goals: 12 KiB for an SSE session over TLS, 40 KiB for an HTTP/2 "
      "connection with 60 streams.\n\n| what | bytes each |\n|---|---|\n");
  {
    Belfry belfry(options, Target::Cores::first, {}, {"--tls"});
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    const auto make = [&] { return std::make_unique<TlsStream>(context, *belfry.target); };
    const double each = memory_of_each(*belfry.target, 100, options.quick ? 500 : 2000, failed, make);
    std::printf("| TLS 1.3, server-sent events | %.0f |\n", each);
    SSL_CTX_free(context);
  }
  {
    Belfry belfry(options);
    const auto make = [&] { return std::make_unique<Http2Streams>(*belfry.target, 60); };
    std::printf("| HTTP/2, 60 streams of server-sent events | %.0f |\n",
                memory_of_each(*belfry.target, 10, options.quick ? 50 : 200, failed, make));
  }
  {
    Belfry belfry(options);
    const auto make = [&] { return std::make_unique<Http2Streams>(*belfry.target, 1); };
    std::printf("| HTTP/2, 1 stream | %.0f |\n",
                memory_of_each(*belfry.target, 50, options.quick ? 200 : 1000, failed, make));
  }
  return failed;
}

std::uint64_t run_storm(const Options& options) {
  const std::size_t sessions = options.quick ? 3000 : 18'000;
  Belfry belfry(options, Target::Cores::all);
  Load load(*belfry.target);
  load.open(sessions, Transport::sse, "bench/1");
  load.close_all();
  load.connect_publishers(1);
  std::uint64_t number = 0;
  std::vector<double> acknowledged;
  const double began = seconds();
  std::size_t back = 0;
  while (back < sessions) {
    const std::size_t some = std::min<std::size_t>(500, sessions - back);
    const double asked = seconds();
    load.publish(
        1, 1, [&](std::uint64_t) { return event_body("other", number++, 100); }, Load::Until::answered);
    acknowledged.push_back((seconds() - asked) * 1e3);
    load.open(some, Transport::sse, "bench/1");
    back += some;
  }
  const double took = seconds() - began;
  std::printf(
      "Every session of one process comes back at once, with no patience at all. Goals: all within 30 s, "
      "publishes "
      "acknowledged within 250 ms (p99).\n\n"
      "| sessions | back after, s | publish p99, ms |\n|---|---|---|\n| %zu | %.1f | %.0f |\n",
      sessions, took, percentile(acknowledged, 0.99));
  return load.violations().total();
}

std::uint64_t run_quiet(const Options& options) {
  const std::size_t sessions = options.quick ? 2000 : 9900;
  const int pause = options.quick ? 5 : 20;
  std::printf(
      "CPU of %zu idle sessions over %d s, both cores. Goal: below 0.2 %% of a core without heartbeats.\n\n"
      "| heartbeats | %% of a core |\n|---|---|\n",
      sessions, pause);
  for (const auto& [name, interval] : {std::pair{"off", "0"}, std::pair{"every 20 s", "20"}}) {
    ::setenv("BELFRY_HTTP__HEARTBEAT_S", interval, 1);
    Belfry belfry(options, Target::Cores::all);
    Load load(*belfry.target);
    load.open(sessions, Transport::sse, "bench/1");
    ::sleep(2);
    const Cpu before = belfry.target->cpu();
    ::sleep(static_cast<unsigned>(pause));
    std::printf("| %s | %.2f |\n", name, (belfry.target->cpu() - before).total() / pause * 100);
  }
  ::unsetenv("BELFRY_HTTP__HEARTBEAT_S");
  return 0;
}

}  // namespace belfry::bench
