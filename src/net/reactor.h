#pragma once
// Tells which sockets of a loop can be read or written: an epoll of its own, which Asio watches as one
// descriptor.
//
// Why not Asio's sockets: 320 bytes for the state of a descriptor and a waiting operation, and a system
// call for every wait. Here an idle connection costs nothing beside the kernel's part
// (docs/decisions/0010).
//
// Owner: Loop. Thread: the loop's.
// Bound: limits::reactor_events_max events a look, and a few looks a turn; then others have theirs.
// Always: edges (epoll(7), EPOLLET): a watcher is told once, and remembers. A watcher is deleted only by
// what
//         was posted to the loop, because the look that goes on may still hold its address.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace belfry::net {

class Reactor {
 public:
  // `ended`: the peer will send no more, or is gone.
  struct Events {
    bool readable = false, writable = false, ended = false;
  };
  class Watcher {
   public:
    // Throws nothing.
    virtual void on_events(Events events) = 0;

   protected:
    ~Watcher() = default;
  };

  explicit Reactor(boost::asio::io_context& context);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Until the descriptor is closed. False: the kernel refuses.
  bool watch(int descriptor, Watcher& watcher);
  // What holds already is told again.
  void tell_again(int descriptor, Watcher& watcher);

  boost::asio::io_context& context() { return context_; }

 private:
  void wait();
  void look();

  boost::asio::io_context& context_;
  boost::asio::posix::stream_descriptor epoll_;
};

}  // namespace belfry::net
