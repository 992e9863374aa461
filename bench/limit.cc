// The practical limit: one epoll thread that sends prebuilt bytes to every session with one send() each. No
// log, no topics, no rights. Whatever a server does for a delivery beyond this is its own cost.
//
//   GET /path          -> an endless text/event-stream answer, or a WebSocket if it asks for the upgrade
//   GET /path?since=N  -> a long poll: answers when there is an event after the Nth
//   the preface of HTTP/2 -> one endless stream of server-sent events; its :path must be a literal
//   POST /path         -> the body as one event to all sessions of that path, then 201

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

struct Limit {
  int epoll = ::epoll_create1(0);
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct Topic {
    std::vector<int> streams, sockets, http2;
    std::vector<int> polls;  // that wait
    std::uint64_t events = 0;
    std::string poll_answer;  // of the newest
  };
  std::unordered_map<std::string, Topic> topics;  // by path
  std::unordered_map<int, std::string> paths;     // of sessions
  std::unordered_map<int, std::string> requests;  // of connections that are not sessions yet
  std::string frame;

  void watch(int socket) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }

  int listen(int port) {
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 4096) != 0)
      return 0;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    watch(listener);
    return ntohs(address.sin_port);
  }

  void accept_all() {
    for (int socket = 0; (socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      watch(socket);
      requests[socket] = {};
    }
  }

  void send_to(const std::vector<int>& sessions) const {
    for (const int session : sessions)
      ::send(session, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void send_all(Topic& topic, std::string_view body) {
    frame = "event: bench\nid: 0000000000000000.1\ndata: ";
    frame += body;
    frame += "\n\n";
    send_to(topic.streams);
    if (!topic.http2.empty()) send_http2(topic);
    answer_polls(topic, body);
    if (topic.sockets.empty()) return;
    frame = "\x81";  // RFC 6455 section 5.2: final, text
    if (body.size() < 126) {
      frame += static_cast<char>(body.size());
    } else {
      frame += "\x7e";
      frame += static_cast<char>(body.size() >> 8);
      frame += static_cast<char>(body.size() & 0xff);
    }
    frame += body;
    send_to(topic.sockets);
  }

  // RFC 9113 section 6.1: DATA on stream 1.
  void send_http2(const Topic& topic) {
    const std::size_t size = frame.size();
    const char head[] = {static_cast<char>(size >> 16),
                         static_cast<char>(size >> 8),
                         static_cast<char>(size),
                         0,
                         0,
                         0,
                         0,
                         0,
                         1};
    frame.insert(0, head, sizeof head);
    send_to(topic.http2);
  }

  void answer_polls(Topic& topic, std::string_view body) {
    topic.poll_answer = "HTTP/1.1 200 OK\r\nCursor: " + std::to_string(++topic.events) +
                        "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    topic.poll_answer += body;
    for (const int session : std::exchange(topic.polls, {}))
      ::send(session, topic.poll_answer.data(), topic.poll_answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void begin_poll(int socket, const std::string& path, std::string_view since) {
    Topic& topic = topics[path];
    if (since.empty() || std::strtoull(since.data(), nullptr, 10) >= topic.events) {
      topic.polls.push_back(socket);
      paths[socket] = path;
    } else {
      ::send(socket, topic.poll_answer.data(), topic.poll_answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }

  void begin_http2(int socket, std::string_view text) {
    const auto at = text.find("/bench/");
    const std::string path(text.substr(at, text.find('\x01', at) - at));
    constexpr char kAnswer[] =
        "\0\0\0\4\0\0\0\0\0"
        "\0\0\0\4\1\0\0\0\0"
        "\0\0\1\1\4\0\0\0\1\x88";
    ::send(socket, kAnswer, sizeof kAnswer - 1, MSG_NOSIGNAL);
    topics[path].http2.push_back(socket);
    paths[socket] = path;
    requests.erase(socket);
  }

  void begin_session(int socket, const std::string& path, std::string_view request) {
    const bool upgrade = request.find("Upgrade: websocket") != std::string_view::npos;
    const std::string_view answer =
        upgrade ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    (upgrade ? topics[path].sockets : topics[path].streams).push_back(socket);
    paths[socket] = path;
    requests.erase(socket);
  }

  void end_session(int socket) {
    const auto found = paths.find(socket);
    if (found == paths.end()) return;
    Topic& topic = topics[found->second];
    std::erase(topic.streams, socket);
    std::erase(topic.sockets, socket);
    std::erase(topic.http2, socket);
    std::erase(topic.polls, socket);
    paths.erase(found);
  }

  // Answers what is whole; true while there may be more in the buffer.
  bool answer(int socket, std::string& text) {
    const auto head = text.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    if (text.starts_with("PRI ")) {
      if (text.find('\x01', text.find("/bench/")) != std::string::npos) begin_http2(socket, text);
      return false;
    }
    const auto space = text.find(' ');
    const std::string path = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
    if (const auto query = path.find("?since="); query != std::string::npos) {
      begin_poll(socket, path.substr(0, query), std::string_view(path).substr(query + 7));
      text.erase(0, head + 4);
      return !text.empty();
    }
    if (text.starts_with("GET")) {
      begin_session(socket, path, text);
      return false;
    }
    const auto length_at = text.find("Content-Length: ");
    const std::size_t length =
        length_at < head ? std::strtoul(text.c_str() + length_at + 16, nullptr, 10) : 0;
    if (text.size() < head + 4 + length) return false;
    send_all(topics[path], std::string_view(text).substr(head + 4, length));
    const std::string_view answer = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
    ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    text.erase(0, head + 4 + length);
    return !text.empty();
  }

  void read_from(int socket) {
    char buffer[65536];
    const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
    const auto found = requests.find(socket);
    if (got <= 0) {
      ::close(socket);
      requests.erase(socket);
      end_session(socket);
    } else if (found != requests.end()) {
      found->second.append(buffer, static_cast<std::size_t>(got));
      while (answer(socket, found->second)) {
      }
    }
  }

  void run() {
    epoll_event events[256];
    for (;;) {
      const int ready = ::epoll_wait(epoll, events, 256, -1);
      for (int i = 0; i < ready; ++i)
        events[i].data.fd == listener ? accept_all() : read_from(events[i].data.fd);
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Limit server;
  std::printf("http://127.0.0.1:%d\n", server.listen(argc > 1 ? std::atoi(argv[1]) : 0));
  std::fflush(stdout);
  server.run();
}
