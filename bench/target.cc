#include "target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/token.h"
#include "net/net.h"

namespace belfry::bench {
namespace {

constexpr int kServerCore = 0;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

// Free a moment ago; the kernel hands it out again only after many others.
int free_port() {
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(made, reinterpret_cast<sockaddr*>(&address), size) != 0) give_up("no port");
  ::getsockname(made, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(made);
  return ntohs(address.sin_port);
}

bool accepts(int port) {
  const int made = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool good = ::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(made);
  return good;
}

int port_in(const std::string& text) {
  const auto at = text.find("://127.0.0.1:");
  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + 13);
}

}  // namespace

Target::Target(std::string name, std::vector<std::string> command, Cores where) {
  static const Description belfry =
      read_description(std::string(BELFRY_SOURCE_DIR) + "/bench/servers/belfry.json");
  description_ = belfry;
  description_.name = std::move(name);
  const std::string program = command[0];
  start(std::move(command), where);
  std::string text;
  char buffer[4096];
  while (port_in(text) == 0 || text.back() != '\n') {
    const ssize_t got = ::read(output_, buffer, sizeof buffer);
    if (got <= 0) give_up(this->name() + " did not start: " + program);
    text.append(buffer, static_cast<std::size_t>(got));
  }
  port_ = port_in(text);
}

Target::Target(const Description& description, const std::string& bin, Cores where)
    : description_(description), folder_(std::make_unique<testing::TemporaryFolder>()) {
  port_ = free_port();
  second_port_ = free_port();
  Words words = this->words("");
  words["bin"] = bin;
  std::filesystem::permissions(folder_->path(""), std::filesystem::perms::all);  // for servers with a user
  for (const auto& [file, content] : description.files)
    std::ofstream(folder_->path(file)) << filled(content, words);
  std::vector<std::string> command;
  for (const std::string& word : description.command) command.push_back(filled(word, words));
  for (const std::string& one : description.environment) {
    const std::string text = filled(one, words);
    const auto equals = text.find('=');
    ::setenv(text.substr(0, equals).c_str(), text.substr(equals + 1).c_str(), 1);
  }
  start(std::move(command), where);
  for (int tries = 0; !accepts(port_); ++tries) {
    if (tries == 300 || ::waitpid(pid_, nullptr, WNOHANG) == pid_) give_up(name() + " did not start");
    ::usleep(100'000);
  }
  if (description.credentials == "belfry") read_credentials();
}

// Belfry in dev mode writes them to its data folder.
void Target::read_credentials() {
  const std::string data = folder_->path("data");
  std::string secret;
  for (int tries = 0; key.empty() && tries < 100; ++tries, ::usleep(20'000))
    std::ifstream(data + "/backend_key") >> key;
  std::ifstream(data + "/jwt_secret") >> secret;
  const Timestamp now = SystemClock().wall();
  token = mint_token({"bench", {"#"}, {}, now, now + std::chrono::hours(12), {}}, secret);
}

Words Target::words(const std::string& topic, const std::string& since) const {
  return {{"port", std::to_string(port_)},
          {"port2", std::to_string(second_port_)},
          {"folder", folder_ ? folder_->path("") : std::string()},
          {"root", BELFRY_SOURCE_DIR},
          {"peers", std::string(BELFRY_SOURCE_DIR) + "/build/peers"},
          {"topic", topic},
          {"since", since},
          {"token", token},
          {"key", key}};
}

void Target::start(std::vector<std::string> command, Cores where) {
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) give_up("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    for (int core = kServerCore; core < (where == Cores::all ? CPU_SETSIZE : kServerCore + 1); ++core)
      CPU_SET(core, &cores);
    ::sched_setaffinity(0, sizeof cores, &cores);
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing stays behind
    ::dup2(pipe_ends[1], 1);
    ::close(pipe_ends[0]);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (std::getenv("BENCH_SHOW") == nullptr) ::dup2(nowhere, 2);
    if (folder_) ::dup2(std::getenv("BENCH_SHOW") == nullptr ? nowhere : 2, 1);
    // One user has all the sessions here, and they come as fast as they can.
    ::setenv("BELFRY_LIMITS__STREAMS_PER_USER", "1000000", 0);
    ::setenv("BELFRY_LIMITS__STREAMS_PER_SECOND", "1000000", 0);
    std::vector<char*> words;
    for (auto& word : command) words.push_back(word.data());
    words.push_back(nullptr);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
  ::close(pipe_ends[1]);
  output_ = pipe_ends[0];
}

Target::~Target() {
  // It and what it started: its group, and what has left that.
  for (const int one : processes()) ::kill(one, SIGKILL);
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::close(output_);
}

std::vector<int> Target::processes() const {
  std::vector<int> out{pid_};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::string folder = "/proc/" + std::to_string(out[i]);
    std::ifstream children(folder + "/task/" + std::to_string(out[i]) + "/children");
    for (int child = 0; children >> child;) out.push_back(child);
  }
  return out;
}

Cpu Target::cpu() const {
  Cpu sum;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  for (const int pid : processes()) {
    const std::string folder = "/proc/" + std::to_string(pid);
    std::ifstream file(folder + "/stat");
    std::string text, skipped;
    if (!std::getline(file, text)) continue;
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0;
    fields >> user;
    sum.user_s += user / ticks;
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(folder + "/task", gone)) {
      double nanoseconds = 0;
      std::ifstream(task.path() / "schedstat") >> nanoseconds;
      sum.total_s += nanoseconds / 1e9;
    }
  }
  return sum;
}

std::uint64_t Target::private_memory() const {
  std::uint64_t sum = 0;
  for (const int pid : processes()) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string word; file >> word;) {
      std::uint64_t kilobytes = 0;
      if ((word == "Private_Dirty:" || word == "Private_Clean:") && file >> kilobytes)
        sum += kilobytes * 1024;
    }
  }
  return sum;
}

std::uint64_t kernel_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    std::uint64_t kilobytes = 0;
    if (word == "Slab:" && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
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
