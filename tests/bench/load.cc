#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/base.h"

namespace belfry::bench {
namespace {

constexpr double kPatience = 60;

std::string masked_text(std::string_view payload) {
  std::string out = "\x81";
  if (payload.size() < 126) {
    out += static_cast<char>(0x80 | payload.size());
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  out.append(4, '\0');  // a mask of zeros is a mask
  return out.append(payload);
}

}  // namespace

double seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Load::Connection {
  int socket = -1;
  bool session = false, upgraded = false, ready = false, busy = false;
  std::uint64_t next = 0;  // number that a session expects
  std::string carry;       // of the last read, what may be the beginning of a mark or of an answer
  std::string hello;       // sent once the upgrade is through
};

Load::Load(Target& target, std::string_view mark)
    : target_(target), mark_(mark), epoll_(::epoll_create1(0)) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(1, &cores);
  ::sched_setaffinity(0, sizeof cores, &cores);
}

Load::~Load() {
  close_all();
  ::close(epoll_);
}

void Load::close_all() {
  for (auto& connection : connections_) ::close(connection->socket);
  connections_.clear();
  publishers_.clear();
  sessions_ = ready_ = 0;
}

Load::Connection& Load::connect() {
  auto made = std::make_unique<Connection>();
  made->socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(target_.port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(made->socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "bench: connect: %s\n", std::strerror(errno));
    std::exit(1);
  }
  const int on = 1;
  ::setsockopt(made->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(made->socket, F_SETFL, O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = made.get();
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, made->socket, &event);
  connections_.push_back(std::move(made));
  return *connections_.back();
}

void Load::send(Connection& connection, const std::string& text) const {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t sent = ::send(connection.socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) rest.remove_prefix(static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN) return;
  }
}

void Load::open(std::size_t count, Transport transport, const std::string& topic, const std::string& since,
                std::uint64_t first_number) {
  for (std::size_t i = 0; i < count; ++i) {
    Connection& connection = connect();
    connection.session = true;
    connection.next = first_number;
    std::string request = "GET /v1/events";
    if (transport == Transport::sse) {
      request += "?topic=" + topic + (since.empty() ? "" : "&since=" + since);
      request += " HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\nAuthorization: Bearer " +
                 target_.token + "\r\n\r\n";
    } else {
      request +=
          " HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
          "13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
      connection.hello =
          masked_text("{\"action\":\"connect\",\"token\":\"" + target_.token + "\",\"topics\":[\"" + topic +
                      "\"]" + (since.empty() ? "" : ",\"since\":\"" + since + "\"") + "}");
    }
    send(connection, request);
    ++sessions_;
    if (i % 64 == 63) turn(0);
  }
  wait_ready();
}

void Load::open_feed(const std::string& token) {
  Connection& connection = connect();
  connection.session = true;
  connection.next = unknown_number;
  send(connection,
       "GET /v1/events?feed=true HTTP/1.1\r\nHost: b\r\nAccept: text/event-stream\r\n"
       "Authorization: Bearer " +
           token + "\r\n\r\n");
  ++sessions_;
  if (sessions_ % 64 == 63) turn(0);
}

void Load::wait_ready() {
  const double end = seconds() + kPatience;
  while (ready_ < sessions_ && seconds() < end) turn(10);
  if (ready_ < sessions_) {
    std::fprintf(stderr, "bench: only %zu of %zu sessions were answered\n", ready_, sessions_);
    std::exit(1);
  }
}

void Load::connect_publishers(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) publishers_.push_back(&connect());
}

void Load::turn(int timeout_ms) {
  epoll_event events[256];
  static char buffer[256 * 1024];
  const int ready = ::epoll_wait(epoll_, events, 256, timeout_ms);
  for (int i = 0; i < ready; ++i) {
    auto& connection = *static_cast<Connection*>(events[i].data.ptr);
    const ssize_t got = ::recv(connection.socket, buffer, sizeof buffer, 0);
    if (got > 0) {
      take(connection, {buffer, static_cast<std::size_t>(got)});
    } else if (got == 0) {
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.socket, nullptr);
    }
  }
}

void Load::take(Connection& connection, std::string_view bytes) {
  if (!connection.session) return take_answers(connection, bytes);
  if (!connection.ready) {
    connection.carry += bytes;
    if (!connection.upgraded) {
      const auto head = connection.carry.find("\r\n\r\n");
      if (head == std::string::npos) return;
      connection.carry.erase(0, head + 4);
      connection.upgraded = true;
      if (!connection.hello.empty()) send(connection, connection.hello);
    }
    if (!connection.hello.empty() && connection.carry.find("\"connected\"") == std::string::npos) return;
    connection.ready = true;
    ++ready_;
    const std::string rest = std::exchange(connection.carry, {});
    return take_events(connection, rest);
  }
  take_events(connection, bytes);
}

void Load::take_events(Connection& connection, std::string_view bytes) {
  std::string joined;
  if (!connection.carry.empty()) {
    joined = std::exchange(connection.carry, {});
    joined += bytes;
    bytes = joined;
  }
  std::size_t at = 0;
  for (;;) {
    const auto found = bytes.find(mark_, at);
    if (found == std::string_view::npos) {
      const std::size_t keep = std::min(bytes.size() - at, mark_.size() - 1);
      connection.carry = bytes.substr(bytes.size() - keep);
      return;
    }
    const auto end = bytes.find_first_not_of("0123456789", found + mark_.size());
    if (end == std::string_view::npos) {
      connection.carry = bytes.substr(found);
      return;
    }
    const std::uint64_t number = std::strtoull(bytes.data() + found + mark_.size(), nullptr, 10);
    if (connection.next == unknown_number) connection.next = number;
    if (number < connection.next) ++violations_.doubled;
    if (number > connection.next) violations_.lost += number - connection.next;
    connection.next = number + 1;
    ++deliveries_;
    at = end;
  }
}

void Load::take_answers(Connection& connection, std::string_view bytes) {
  connection.carry += bytes;
  for (;;) {
    const auto head = connection.carry.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const auto length_at = connection.carry.find("Content-Length: ");
    const std::size_t length =
        length_at < head ? std::strtoul(connection.carry.c_str() + length_at + 16, nullptr, 10) : 0;
    if (connection.carry.size() < head + 4 + length) return;
    if (!connection.carry.starts_with("HTTP/1.1 201") && ++refused_ == 1)
      std::fprintf(stderr, "bench: refused: %s\n", connection.carry.substr(0, head + 4 + length).c_str());
    connection.carry.erase(0, head + 4 + length);
    connection.busy = false;
    ++answered_;
  }
}

void Load::publish(std::uint64_t count, std::size_t window,
                   const std::function<std::string(std::uint64_t)>& body, Until until) {
  const std::uint64_t answered_before = answered_, delivered_before = deliveries_;
  std::uint64_t sent = 0;
  double end = seconds() + kPatience;
  const auto done = [&] {
    std::uint64_t finished = answered_ - answered_before;
    if (until == Until::delivered && sessions_ > 0)
      finished = std::min(finished, (deliveries_ - delivered_before) / sessions_);
    return finished;
  };
  while (done() < count && seconds() < end) {
    for (Connection* publisher : publishers_) {
      if (sent == count || sent - done() >= window) break;
      if (publisher->busy) continue;
      publisher->busy = true;
      const std::string text = body(sent++);
      send(*publisher,
           "POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nAuthorization: "
           "Bearer " +
               target_.key + "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
      end = seconds() + kPatience;
    }
    turn(1);
  }
}

bool Load::wait_deliveries(std::uint64_t count) {
  const double end = seconds() + kPatience;
  while (deliveries_ < count && seconds() < end) turn(10);
  return deliveries_ >= count;
}

}  // namespace belfry::bench
