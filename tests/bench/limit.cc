// The practical limit: one epoll thread that sends prebuilt bytes to every session with one send() each. No
// log, no topics, no rights. Whatever a server does for a delivery beyond this is its own cost.
//
//   GET anything       -> an endless text/event-stream answer
//   POST with {"data"} -> the body as one SSE event to all sessions, then 201

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct Limit {
  int epoll = ::epoll_create1(0);
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  std::vector<int> sessions;
  std::unordered_map<int, std::string> requests;  // of connections that are not sessions yet
  std::string frame;

  void watch(int socket) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }

  int listen() {
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
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

  void send_all(std::string_view body) {
    frame = "event: bench\nid: 0000000000000000.1\ndata: ";
    frame += body;
    frame += "\n\n";
    for (const int session : sessions)
      ::send(session, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  // Answers what is whole; true while there may be more in the buffer.
  bool answer(int socket, std::string& text) {
    const auto head = text.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    if (text.starts_with("GET")) {
      const std::string_view answer =
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
      ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
      sessions.push_back(socket);
      requests.erase(socket);
      return false;
    }
    const auto length_at = text.find("Content-Length: ");
    const std::size_t length =
        length_at < head ? std::strtoul(text.c_str() + length_at + 16, nullptr, 10) : 0;
    if (text.size() < head + 4 + length) return false;
    send_all(std::string_view(text).substr(head + 4, length));
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
      std::erase(sessions, socket);
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

int main() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Limit server;
  std::printf("http://127.0.0.1:%d\n", server.listen());
  std::fflush(stdout);
  server.run();
}
