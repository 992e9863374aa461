#include "net/reactor.h"

#include <sys/epoll.h>

#include "base/base.h"

namespace belfry::net {
namespace {

constexpr int kLooks = 4;

bool control(int epoll, int operation, int descriptor, Reactor::Watcher& watcher) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &watcher;
  return ::epoll_ctl(epoll, operation, descriptor, &event) == 0;
}

}  // namespace

Reactor::Reactor(boost::asio::io_context& context)
    : context_(context), epoll_(context, ::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_.native_handle() >= 0);
  wait();
}

bool Reactor::watch(int descriptor, Watcher& watcher) {
  return control(epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, watcher);
}

void Reactor::tell_again(int descriptor, Watcher& watcher) {
  (void)control(epoll_.native_handle(), EPOLL_CTL_MOD, descriptor, watcher);
}

void Reactor::wait() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](boost::system::error_code failed) {
                      if (failed) return;
                      look();
                      wait();
                    });
}

void Reactor::look() {
  epoll_event events[limits::reactor_events_max];
  for (int looks = 0; looks < kLooks; ++looks) {
    const int count = ::epoll_wait(epoll_.native_handle(), events, static_cast<int>(std::size(events)), 0);
    for (int i = 0; i < count; ++i) {
      const auto seen = events[i].events;
      const bool ended = (seen & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
      static_cast<Watcher*>(events[i].data.ptr)
          ->on_events({(seen & EPOLLIN) != 0, (seen & EPOLLOUT) != 0, ended});
    }
    if (count < static_cast<int>(std::size(events))) return;
  }
}

}  // namespace belfry::net
