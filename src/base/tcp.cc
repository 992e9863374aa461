#include "base/tcp.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/freed.h"

namespace belfry {
namespace {

// 0, or what errno said.
int connect_to(const addrinfo& address, int socket, const std::function<bool(int)>& writable) {
  if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!writable(socket)) return ETIMEDOUT;
  int failed = 0;
  socklen_t size = sizeof failed;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 ? failed : errno;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Result<Descriptor> connect_tcp(const std::string& host, const std::string& port,
                               const std::function<bool(int socket)>& writable) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (const int failed = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &first); failed != 0)
    return fail(Code::connection_failed, host + ": " + gai_strerror(failed));
  const std::unique_ptr<addrinfo, Freed<::freeaddrinfo>> found(first);
  std::string reason = "no address";
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    Descriptor out(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int failed = out.get() < 0 ? errno : connect_to(*at, out.get(), writable);
    if (failed == 0 && ::fcntl(out.get(), F_SETFL, 0) == 0) return out;
    reason = std::strerror(failed);
  }
  return fail(Code::connection_failed, host + ":" + port + ": " + reason);
}

std::string peer_address(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[NI_MAXHOST] = "";
  if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0)
    (void)::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text, sizeof text, nullptr, 0,
                        NI_NUMERICHOST);
  return text;
}

}  // namespace belfry
