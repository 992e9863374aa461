#pragma once
// Opening a TCP connection without being caught in it: where packets are swallowed, connect(2) itself waits
// for minutes and hears of no stop.

#include <functional>
#include <string>
#include <utility>

#include "base/result.h"

namespace belfry {

// A file descriptor, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }

 private:
  int number_;
};

// A connected socket in blocking mode, to the first address of the host that answers. Blocks the thread:
// getaddrinfo for as long as resolv.conf says, and for each address as long as `writable` does, which waits
// until the socket may be written to; false: it has waited long enough. Code::connection_failed.
Result<Descriptor> connect_tcp(const std::string& host, const std::string& port,
                               const std::function<bool(int socket)>& writable);

// The other end's address, in numbers; empty: it is not connected.
std::string peer_address(const Descriptor& socket);

}  // namespace belfry
