#include "attacker.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace belfry::bench {
namespace {

constexpr std::size_t kAhead = 128 * 1024;  // bytes that wait for the socket; actions beyond are not made
constexpr int kNice = 10;

// Where a text begins in the bytes, from a place on; npos: nowhere.
std::size_t find(std::string_view bytes, const std::string& text, std::size_t from) {
  if (from >= bytes.size()) return std::string_view::npos;
  const void* found = ::memmem(bytes.data() + from, bytes.size() - from, text.data(), text.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

// The first letter of a status (HTTP) or of a control message's name (WebSocket).
bool refuses(char first) { return first == '4' || first == '5' || first == 'e'; }

struct Connection {
  const Script& script;
  int socket = -1;
  bool upgraded = false, waits_for_room = false;
  std::size_t next = 0;    // action
  std::size_t asked = 0;   // without an answer
  std::string out{}, carry{};  // carry: of the last read, what may be the beginning of a text that counts
};

class Crew {
 public:
  Crew(int port, const std::vector<Script>& scripts, AttackCounters& counters)
      : port_(port), epoll_(::epoll_create1(0)), counters_(counters) {
    for (const Script& script : scripts) {
      connections_.push_back(std::make_unique<Connection>(Connection{.script = script}));
      connections_.back()->next = script.first;
    }
  }
  ~Crew() {
    for (auto& one : connections_) reset(*one);
    ::close(epoll_);
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void run(const std::stop_token& stop) {
    for (auto& one : connections_) {
      if (stop.stop_requested()) return;
      dial(*one);
      turn(0);
    }
    while (!stop.stop_requested()) turn(20);
  }

 private:
  void turn(int timeout_ms) {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll_, events, 256, timeout_ms);
    for (int i = 0; i < ready; ++i) {
      auto& one = *static_cast<Connection*>(events[i].data.ptr);
      if ((events[i].events & ~EPOLLOUT) != 0) read(one);
      write(one);
    }
  }

  // A reset leaves no port behind that waits.
  static void reset(Connection& one) {
    if (one.socket < 0) return;
    const linger at_once{1, 0};
    ::setsockopt(one.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(one.socket, -1));
  }

  void dial(Connection& one) {
    reset(one);
    one.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    one.upgraded = one.script.hello.empty();
    one.asked = 0;
    one.carry.clear();
    one.out = one.script.opening;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // The first write tells whether it has succeeded.
    (void)::connect(one.socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
    const int on = 1;
    ::setsockopt(one.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    one.waits_for_room = true;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.ptr = &one;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.socket, &event);
  }

  void write(Connection& one) {
    const Script& script = one.script;
    while (one.upgraded && script.actions && one.asked < script.window && one.out.size() < kAhead) {
      one.out += (*script.actions)[one.next++ % script.actions->size()];
      ++one.asked;
    }
    std::size_t done = 0;
    while (done < one.out.size()) {
      const ssize_t sent = ::send(one.socket, one.out.data() + done, one.out.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) break;
      done += static_cast<std::size_t>(sent);
    }
    one.out.erase(0, done);
    if (one.waits_for_room != one.out.empty()) return;
    one.waits_for_room = !one.out.empty();
    epoll_event event{};
    event.events = EPOLLIN | (one.waits_for_room ? EPOLLOUT : 0u);
    event.data.ptr = &one;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, one.socket, &event);
  }

  void read(Connection& one) {
    const ssize_t got = ::recv(one.socket, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ++counters_.broken;
      return dial(one);
    }
    counters_.bytes += static_cast<std::uint64_t>(got);
    std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
    std::string joined;
    if (!one.carry.empty()) {
      joined = std::exchange(one.carry, {});
      joined += bytes;
      bytes = joined;
    }
    if (!one.upgraded) {
      const auto head = bytes.find("\r\n\r\n");
      if (head == std::string_view::npos) return void(one.carry = bytes);
      bytes.remove_prefix(head + 4);
      one.upgraded = true;
      one.out += one.script.hello;
    }
    if (!one.script.end.empty() && find(bytes, one.script.end, 0) != std::string_view::npos) {
      ++counters_.rounds;
      return dial(one);
    }
    one.carry = bytes.substr(count(one, bytes));
  }

  // Counts the answers, and gives where what has to be looked at again begins.
  std::size_t count(Connection& one, std::string_view bytes) {
    const Script& script = one.script;
    std::size_t at = 0;
    if (!script.answer.empty()) {
      for (auto found = find(bytes, script.answer, 0); found != std::string_view::npos;
           found = find(bytes, script.answer, at)) {
        const auto after = found + script.answer.size();
        if (after == bytes.size()) return found;
        at = after;
        if (one.asked > 0) --one.asked;
        ++(refuses(bytes[after]) ? counters_.refused : counters_.answered);
      }
    }
    const std::size_t longest = std::max(script.answer.size(), script.end.size());
    const std::size_t keep = std::min(bytes.size() - at, longest > 0 ? longest - 1 : 0);
    return bytes.size() - keep;
  }

  int port_, epoll_;
  AttackCounters& counters_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

}  // namespace

Attacker::Attacker(int port, std::vector<Script> scripts)
    : scripts_(std::move(scripts)), thread_([this, port](const std::stop_token& stop) {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);
        Crew(port, scripts_, counters_).run(stop);
      }) {}

Attacker::~Attacker() = default;

}  // namespace belfry::bench
