// A million idle sessions: several Belfry processes, because a process may have so many descriptors only,
// and as many processes of clients.

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "workloads.h"

namespace belfry::bench {
namespace {

constexpr std::size_t kEach = 18'600;  // of 20,000 descriptors

// A process that holds sessions until it is ended. Gives its id once all are answered, 0 if they are not.
int hold_sessions(Target& target, std::size_t sessions) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  const int child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing stays behind
    try {
      Load load(target);
      load.open(sessions, Transport::sse, "bench/1");
      if (::write(ends[1], "r", 1) == 1)
        for (;;) ::pause();
    } catch (const Unanswered& error) {  // the servers belong to the parent: nothing is unwound here
      std::fprintf(stderr, "bench: %s\n", error.what());
    }
    ::_exit(1);
  }
  ::close(ends[1]);
  char ready = 0;
  const bool good = ::read(ends[0], &ready, 1) == 1;
  ::close(ends[0]);
  return good ? child : 0;
}

}  // namespace

std::uint64_t run_million(const Options& options) {
  const std::size_t processes = options.quick ? 2 : 54;
  const std::uint64_t kernel = kernel_memory();
  std::vector<std::unique_ptr<Belfry>> servers;
  std::vector<int> clients;
  std::uint64_t fresh = 0, held = 0;
  double cpu = 0;
  // All of them first: once there are more sessions than ports for clients, none is left to listen on.
  for (std::size_t i = 0; i < processes; ++i) {
    servers.push_back(std::make_unique<Belfry>(options, Target::Cores::all));
    fresh += servers.back()->target->private_memory();
  }
  for (const auto& server : servers) {
    Target& target = *server->target;
    const Cpu before = target.cpu();
    const int child = hold_sessions(target, kEach);
    if (child == 0) break;
    clients.push_back(child);
    held += kEach;
    cpu += (target.cpu() - before).total();
    std::fprintf(stderr, "\r%llu sessions   ", static_cast<unsigned long long>(held));
  }
  std::fprintf(stderr, "\r                      \r");
  std::uint64_t now = 0;
  double sessions = 0;
  for (const auto& server : servers) {
    now += server->target->private_memory();
    sessions += server->target->metric("belfry_sessions");
  }
  const auto count = static_cast<double>(held);
  std::printf(
      "| sessions held | of these known to the servers | processes | user bytes each | with the fresh "
      "processes | kernel bytes each, both ends | connect CPU µs |\n|---|---|---|---|---|---|---|\n"
      "| %llu | %.0f | %zu | %.0f | %.0f | %.0f | %.1f |\n",
      static_cast<unsigned long long>(held), sessions, servers.size(),
      static_cast<double>(now - fresh) / count, static_cast<double>(now) / count,
      static_cast<double>(kernel_memory() - kernel) / count, cpu / count * 1e6);
  for (const int child : clients) ::kill(child, SIGKILL), ::waitpid(child, nullptr, 0);
  return held == processes * kEach ? 0 : 1;
}

}  // namespace belfry::bench
