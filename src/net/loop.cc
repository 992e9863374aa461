#include "net/loop.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <exception>

#include "net/reactor.h"

namespace belfry::net {

namespace asio = boost::asio;

struct Loop::Timers {
  struct Repeating {
    asio::steady_timer timer;
    Duration interval;
    std::function<void()> function;

    void arm() {
      timer.expires_after(interval);
      timer.async_wait([this](boost::system::error_code failed) {
        if (failed) return;
        function();
        arm();
      });
    }
  };
  std::deque<Repeating> all;
};

// One thread runs a loop, but others post to it, so Asio's own locking stays on.
Loop::Loop()
    : context_(std::make_unique<asio::io_context>()),
      timers_(std::make_unique<Timers>()),
      reactor_(std::make_unique<Reactor>(*context_)) {}

Loop::~Loop() = default;

void Loop::run() {
  const auto work = asio::make_work_guard(*context_);
  // What a completion throws ends neither the loop nor the other connections.
  for (;;) {
    try {
      context_->run();
      return;
    } catch (const std::exception& exception) {
      log_error("loop", {{"exception", exception.what()}});
    }
  }
}

void Loop::stop() { context_->stop(); }

void Loop::post(std::function<void()> function) { asio::post(*context_, std::move(function)); }

void Loop::every(Duration interval, std::function<void()> function) {
  timers_->all.push_back({asio::steady_timer(*context_), interval, std::move(function)});
  timers_->all.back().arm();
}

void Loop::after(std::chrono::microseconds delay, std::function<void()> function) {
  auto timer = std::make_unique<asio::steady_timer>(*context_, delay);
  auto& waiting = *timer;  // lives in its own handler
  waiting.async_wait(
      [timer = std::move(timer), function = std::move(function)](boost::system::error_code failed) {
        if (!failed) function();
      });
}

}  // namespace belfry::net
