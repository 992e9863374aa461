#pragma once
// An event loop: one per shard thread. Owns the sockets registered with it.
//
// Thread: run() binds it to the calling thread; post and stop may be called from any, everything else from
// its own.

#include <chrono>
#include <functional>
#include <memory>

#include "base/base.h"

namespace boost::asio {
class io_context;
}

namespace belfry::net {

class Reactor;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until stop().
  void run();
  void stop();
  // Runs the function on the loop's thread, in a later turn. Any thread.
  void post(std::function<void()> function);
  // Calls the function every `interval` until the loop stops. Its own thread, or before run().
  void every(Duration interval, std::function<void()> function);

  // Once, after so long. Its own thread.
  void after(std::chrono::microseconds delay, std::function<void()> function);

  boost::asio::io_context& context() { return *context_; }
  Reactor& reactor() { return *reactor_; }

 private:
  struct Timers;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Reactor> reactor_;
};

}  // namespace belfry::net
