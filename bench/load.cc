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
#include "http2_frames.h"

namespace belfry::bench {
namespace {

constexpr double kPatience = 60;
constexpr std::string_view kMark = "\"n\":";  // stands before an event's number
constexpr std::size_t kUnanswered = 256;

// Takes the first answer off, if it is whole; else gives nothing.
std::string whole_answer(std::string& bytes) {
  const auto head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return {};
  const auto length_at = bytes.find("Content-Length: ");
  const std::size_t length =
      length_at < head ? std::strtoul(bytes.c_str() + length_at + 16, nullptr, 10) : 0;
  if (bytes.size() < head + 4 + length) return {};
  std::string answer = bytes.substr(0, head + 4 + length);
  bytes.erase(0, answer.size());
  return answer;
}

}  // namespace

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

double seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Load::Connection {
  int port = 0;
  int socket = -1;
  std::size_t opening = 0;  // of openings_
  bool session = false, closed = false, upgraded = false, ready = false, busy = false;
  double due = 0;                  // of the publish in flight, at a rate
  std::uint64_t next = 0;          // number that a session expects
  std::uint64_t got = 0, sum = 0;  // where any order is accepted
  std::string carry;               // of the last read, what may be the beginning of a mark or of an answer
  std::string hello;               // sent once the upgrade is through
  std::string marker;              // what tells that it is subscribed; empty: the head
  Transport transport = Transport::sse;
  Words words;         // long poll: of the next request
  std::string frames;  // HTTP/2: the beginning of a frame
};

Load::Load(Target& target) : target_(target), epoll_(::epoll_create1(0)) {
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
  openings_.clear();
  sessions_ = ready_ = closed_ = 0;
}

Load::Connection& Load::connect(int port) {
  connections_.push_back(std::make_unique<Connection>());
  connections_.back()->port = port == 0 ? target_.port() : port;
  dial(*connections_.back());
  return *connections_.back();
}

void Load::dial(Connection& connection) {
  connection.socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(connection.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(connection.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "bench: connect: %s\n", std::strerror(errno));
    std::exit(1);
  }
  const int on = 1;
  ::setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(connection.socket, F_SETFL, O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &connection;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
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
  begin(count, transport, topic, since, first_number);
  wait_ready();
}

std::string Load::opening(Transport transport, const std::string& get, const Words& words) const {
  const auto& channel = target_.description().channel(transport);
  std::vector<std::string> headers = channel.headers;
  if (!words.at("since").empty() && transport != Transport::websocket)
    headers.insert(headers.end(), channel.resume.begin(), channel.resume.end());
  for (std::string& header : headers) header = filled(header, words);
  if (transport == Transport::http2) {
    HeaderFields fields{{"accept", "text/event-stream"}};
    for (std::string& header : headers) {
      const auto colon = header.find(": ");
      std::string name = header.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      fields.emplace_back(std::move(name), header.substr(colon + 2));
    }
    return http2_get(filled(get, words), fields);
  }
  if (transport == Transport::sse) headers.emplace_back("Accept: text/event-stream");
  if (transport == Transport::poll) headers.emplace_back("Accept: application/json");
  if (transport == Transport::websocket)
    headers.emplace_back(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
  std::string request = "GET " + filled(get, words) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  for (const std::string& header : headers) request += header + "\r\n";
  return request + "\r\n";
}

void Load::begin(std::size_t count, Transport transport, const std::string& topic, const std::string& since,
                 std::uint64_t first_number) {
  const auto& channel = target_.description().channel(transport);
  const Words words = target_.words(topic, since);
  const std::string request =
      opening(transport, channel.first.empty() ? channel.get : channel.first, words);
  std::string hello;
  for (const auto& text : since.empty() || channel.resume.empty() ? channel.hello : channel.resume)
    hello += masked_text(filled(text, words));
  const double end = seconds() + kPatience;
  for (std::size_t i = 0; i < count; ++i) {
    Connection& connection = connect(std::atoi(filled(channel.port, words).c_str()));
    connection.session = true;
    connection.opening = openings_.size();
    connection.transport = transport;
    connection.next = first_number;
    connection.hello = hello;
    connection.marker = channel.ready;
    if (transport == Transport::poll) connection.words = words;
    send(connection, request);
    ++sessions_;
    // One that waits from the start says nothing that tells when it does.
    if (transport == Transport::poll && channel.first.empty()) now_ready(connection);
    while (sessions_ - ready_ > kUnanswered && seconds() < end) turn(1);
  }
  openings_.push_back({transport, topic, since, first_number});
}

bool Load::open_again() {
  for (int quiet = 0; quiet < 5; ++quiet) turn(10);  // an end follows its answer
  if (closed_ == 0 || openings_.empty()) return false;
  // Whoever got something was let in, and is counted if it misses what follows.
  const auto turned_away = [&](const auto& one) {
    return one->closed && one->session && one->next == openings_[one->opening].first_number;
  };
  std::vector<Opening> again;
  for (const auto& one : connections_)
    if (turned_away(one)) again.push_back(openings_[one->opening]);
  if (again.empty()) return false;
  std::fprintf(stderr, "bench: %s: %zu sessions were ended at once, and are opened again\n",
               target_.name().c_str(), again.size());
  std::erase_if(connections_, [&](const auto& one) {
    if (!turned_away(one)) return false;
    ready_ -= one->ready ? 1 : 0;
    ::close(one->socket);
    return true;
  });
  sessions_ -= again.size();
  closed_ -= again.size();
  ::usleep(500'000);
  for (const Opening& one : again) begin(1, one.transport, one.topic, one.since, one.first_number);
  return true;
}

void Load::now_ready(Connection& connection) {
  if (std::exchange(connection.ready, true)) return;
  ++ready_;
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
  do {
    while (ready_ < sessions_ && seconds() < end) turn(10);
  } while (open_again() && seconds() < end);
  if (ready_ < sessions_)
    throw Unanswered(target_.name() + ": only " + std::to_string(ready_) + " of " +
                     std::to_string(sessions_) + " sessions were answered");
}

void Load::connect_publishers(std::size_t count) {
  const std::string port = filled(target_.description().publish_port, target_.words(""));
  for (std::size_t i = 0; i < count; ++i) publishers_.push_back(&connect(std::atoi(port.c_str())));
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
    } else if (got == 0 || errno != EAGAIN) {
      ended(connection);
    }
  }
}

// By the server, or refused.
void Load::ended(Connection& connection) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.socket, nullptr);
  if (!connection.session) return;
  now_ready(connection);
  connection.closed = true;
  ++closed_;
}

void Load::take(Connection& connection, std::string_view bytes) {
  if (!connection.session) return take_answers(connection, bytes);
  if (connection.transport == Transport::http2) return take_frames(connection, bytes);
  if (connection.transport == Transport::poll) return take_polls(connection, bytes);
  if (!connection.ready) {
    connection.carry += bytes;
    if (!connection.upgraded) {
      const auto head = connection.carry.find("\r\n\r\n");
      if (head == std::string::npos) return;
      const int status = std::atoi(connection.carry.c_str() + std::strlen("HTTP/1.1 "));
      if (status >= 400) return ended(connection);
      connection.carry.erase(0, head + 4);
      connection.upgraded = true;
      if (!connection.hello.empty()) send(connection, connection.hello);
    }
    if (connection.carry.find(connection.marker) == std::string::npos) return;
    now_ready(connection);
    const std::string rest = std::exchange(connection.carry, {});
    return take_events(connection, rest);
  }
  take_events(connection, bytes);
}

void Load::take_frames(Connection& connection, std::string_view bytes) {
  std::string joined;
  if (!connection.frames.empty()) {
    joined = std::exchange(connection.frames, {});
    joined += bytes;
    bytes = joined;
  }
  const Http2Frames frames{[&] { now_ready(connection); },
                           [&](std::string_view data) { take_events(connection, data); },
                           [&](const std::string& text) { send(connection, text); }};
  frames.take(bytes);
  connection.frames = bytes;
}

void Load::take_polls(Connection& connection, std::string_view bytes) {
  connection.carry += bytes;
  const auto& channel = target_.description().poll;
  for (std::string answer; !(answer = whole_answer(connection.carry)).empty();) {
    for (const auto& [word, before] : channel.keep) {
      const auto at = answer.find(before);
      if (at == std::string::npos) continue;
      const auto from = at + before.size();
      connection.words[word] = answer.substr(from, answer.find_first_of("\"\r", from) - from);
    }
    for (auto at = answer.find(kMark); at != std::string::npos; at = answer.find(kMark, at + 1))
      count(connection, std::strtoull(answer.c_str() + at + kMark.size(), nullptr, 10));
    now_ready(connection);
    send(connection, opening(Transport::poll, channel.get, connection.words));
  }
}

void Load::count(Connection& connection, std::uint64_t number) {
  if (number < due_.size() && due_[number] > 0) latencies_.add(seconds() - due_[number]);
  if (connection.next == unknown_number) connection.next = number;
  ++deliveries_;
  if (any_order_) {
    ++connection.got;
    connection.sum += number;
    return;
  }
  if (number < connection.next) ++violations_.doubled;
  if (number > connection.next) violations_.lost += number - connection.next;
  connection.next = number + 1;
}

void Load::take_events(Connection& connection, std::string_view bytes) {
  if (keep_ids_) {
    const std::string lines = "\n" + std::string(bytes);  // the first line of what came, too
    const auto at = lines.rfind("\nid: ");
    const auto end = at == std::string::npos ? at : lines.find('\n', at + 5);
    if (end != std::string::npos) last_id_ = lines.substr(at + 5, end - at - 5);
  }
  std::string joined;
  if (!connection.carry.empty()) {
    joined = std::exchange(connection.carry, {});
    joined += bytes;
    bytes = joined;
  }
  std::size_t at = 0;
  for (;;) {
    const auto found = bytes.find(kMark, at);
    if (found == std::string_view::npos) {
      const std::size_t keep = std::min(bytes.size() - at, kMark.size() - 1);
      connection.carry = bytes.substr(bytes.size() - keep);
      return;
    }
    const auto end = bytes.find_first_not_of("0123456789", found + kMark.size());
    if (end == std::string_view::npos) {
      connection.carry = bytes.substr(found);
      return;
    }
    const std::uint64_t number = std::strtoull(bytes.data() + found + kMark.size(), nullptr, 10);
    count(connection, number);
    at = end;
  }
}

void Load::take_answers(Connection& connection, std::string_view bytes) {
  connection.carry += bytes;
  for (std::string answer; !(answer = whole_answer(connection.carry)).empty();) {
    if (!answer.starts_with("HTTP/1.1 20") && ++refused_ == 1)
      std::fprintf(stderr, "bench: refused: %s\n", answer.c_str());
    connection.busy = false;
    ++answered_;
    if (connection.due > 0) answer_latencies_.add(seconds() - std::exchange(connection.due, 0));
    if (answer.find("\r\nConnection: close\r\n") == std::string::npos) continue;
    ::close(connection.socket);  // a server may want a connection for each publish
    connection.carry.clear();
    return dial(connection);
  }
}

void Load::run_requests(std::uint64_t count, std::size_t window, std::size_t fanout, double per_second,
                        const std::function<void(Connection&, std::uint64_t)>& one, Until until) {
  const std::uint64_t answered_before = answered_, delivered_before = deliveries_,
                      refused_before = refused_;
  std::uint64_t sent = 0;
  const double began = seconds();
  const double planned = per_second > 0 ? static_cast<double>(count) / per_second : 0;
  double end = began + planned + patience_;
  const auto done = [&] {
    std::uint64_t finished = answered_ - answered_before;
    if (until == Until::delivered && fanout > 0)
      finished = std::min(finished, refused_ - refused_before + (deliveries_ - delivered_before) / fanout);
    return finished;
  };
  while (done() < count && seconds() < end) {
    for (Connection* publisher : publishers_) {
      if (sent == count || sent - done() >= window) break;
      if (per_second > 0 && seconds() < began + static_cast<double>(sent) / per_second) break;
      if (publisher->busy) continue;
      publisher->busy = true;
      one(*publisher, sent++);
      if (per_second == 0) end = seconds() + patience_;
    }
    // Until the next is due, if somebody can publish it; the last millisecond is not slept.
    const bool able = per_second > 0 && sent < count &&
                      std::any_of(publishers_.begin(), publishers_.end(), [](auto* p) { return !p->busy; });
    const double due = began + static_cast<double>(sent) / per_second;
    turn(able ? std::clamp(static_cast<int>((due - seconds()) * 1e3), 0, 1) : 1);
  }
  if (done() < count)
    std::fprintf(stderr, "bench: %s: gave up waiting: %llu of %llu done, %zu sessions were closed\n",
                 target_.name().c_str(), static_cast<unsigned long long>(done()),
                 static_cast<unsigned long long>(count), closed_);
}

void Load::publish(std::uint64_t count, std::size_t window,
                   const std::function<std::string(std::uint64_t)>& body, Until until) {
  const auto one = [&](Connection& publisher, std::uint64_t i) {
    const std::string text = body(i);
    send(publisher,
         "POST /v1/events HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nAuthorization: "
         "Bearer " +
             target_.key + "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
  };
  run_requests(count, window, sessions_, 0, one, until);
}

void Load::request(Connection& publisher, const std::string& topic, std::uint64_t number,
                   std::size_t payload) {
  const Description& server = target_.description();
  Words words = target_.words(topic);
  words["data"] = "{\"n\":" + std::to_string(number) + ",\"p\":\"" + std::string(payload, 'x') + "\"}";
  append_json_string(words["escaped"], words["data"]);
  words["escaped"] = words["escaped"].substr(1, words["escaped"].size() - 2);
  const std::string body = filled(server.body, words);
  std::string text = "POST " + filled(server.post, words) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  for (const auto& header : server.headers) text += filled(header, words) + "\r\n";
  send(publisher, text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

double Load::play(const Plan& plan) {
  const double began = seconds();
  const auto one = [&](Connection& publisher, std::uint64_t i) {
    const std::uint64_t number = plan.number(i);
    if (plan.per_second > 0) {
      due_.resize(std::max<std::size_t>(due_.size(), number + 1));
      due_[number] = publisher.due = began + static_cast<double>(i) / plan.per_second;
    }
    if (any_order_) ++published_, published_sum_ += number;
    request(publisher, plan.topic(i), number, plan.payload);
  };
  run_requests(plan.count, plan.window, plan.fanout, plan.per_second, one, plan.until);
  due_.clear();
  return seconds() - began;
}

Violations Load::violations() const {
  Violations out = violations_;
  if (!any_order_) return out;
  for (const auto& one : connections_)
    if (one->session && (one->got != published_ || one->sum != published_sum_))
      one->got > published_ ? ++out.doubled : ++out.lost;
  return out;
}

bool Load::wait_deliveries(std::uint64_t count) {
  const double end = seconds() + kPatience;
  while (deliveries_ < count && seconds() < end) turn(10);
  return deliveries_ >= count;
}

}  // namespace belfry::bench
