#include "target.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "net/net.h"

namespace belfry::bench {
namespace {

constexpr int kServerCore = 0;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

int port_in(const std::string& text) {
  const auto at = text.find("://127.0.0.1:");
  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + 13);
}

}  // namespace

Target::Target(std::string name, std::vector<std::string> command, Cores where) : name_(std::move(name)) {
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) give_up("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (int core = kServerCore; core < (where == Cores::all ? CPU_SETSIZE : kServerCore + 1); ++core)
      CPU_SET(core, &cores);
    ::sched_setaffinity(0, sizeof cores, &cores);
    ::dup2(pipe_ends[1], 1);
    ::close(pipe_ends[0]);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, 2);
    // One user has all the sessions here, and they come as fast as they can.
    ::setenv("BELFRY_LIMITS__STREAMS_PER_USER", "1000000", 0);
    ::setenv("BELFRY_LIMITS__STREAMS_PER_SECOND", "1000000", 0);
    std::vector<char*> words;
    for (auto& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  ::close(pipe_ends[1]);
  output_ = pipe_ends[0];
  std::string text;
  char buffer[4096];
  while (port_in(text) == 0 || text.back() != '\n') {
    const ssize_t got = ::read(output_, buffer, sizeof buffer);
    if (got <= 0) give_up(name_ + " did not start: " + command[0]);
    text.append(buffer, static_cast<std::size_t>(got));
  }
  port_ = port_in(text);
}

Target::~Target() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::close(output_);
}

Cpu Target::cpu() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return {user / ticks, system / ticks};
}

std::uint64_t Target::private_memory() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/smaps_rollup");
  std::uint64_t sum = 0;
  for (std::string word; file >> word;) {
    std::uint64_t kilobytes = 0;
    if ((word == "Private_Dirty:" || word == "Private_Clean:") && file >> kilobytes)
      sum += kilobytes * 1024;
  }
  return sum;
}

double Target::metric(const std::string& name) const {
  net::ClientRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(port_) + "/metrics";
  const auto answer = net::fetch(request);
  if (!answer) return 0;
  std::istringstream lines(answer.value().body);
  double sum = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + " ") || line.starts_with(name + "{"))
      sum += std::atof(line.c_str() + line.rfind(' '));
  return sum;
}

}  // namespace belfry::bench
