#pragma once
// A shard over a log in memory, with clients that write down what they are given.

#include <gtest/gtest.h>

#include <deque>

#include "hub/hub.h"
#include "store/memory_store.h"

namespace belfry {

// A client that writes down what it is given; `room` is how many more events it takes before it blocks.
struct Recorder : Outlet {
  std::string story;
  std::size_t room = 1000;
  int writes = 0;
  std::size_t largest = 0;  // of the writes, in events
  bool beat_blocks = false;
  std::vector<Offset> told;  // with each write: what it has then, if it takes all
  std::vector<Offset> beyond;  // with each reset

  Written write(std::span<const Entry* const> entries, Offset position) override {
    ++writes;
    told.push_back(position);
    largest = std::max(largest, entries.size());
    const std::size_t taken = std::min(room, entries.size());
    for (const Entry* entry : entries.first(taken)) {
      const Event& event = entry->event();
      story += event.durable() ? std::to_string(event.offset) : "~" + event.topic;
      story += ' ';
    }
    room -= taken;
    return {taken, room == 0 ? OutletState::blocked : OutletState::open};
  }
  Written reset(const Reset& reset) override {
    if (room == 0) return {0, OutletState::blocked};
    beyond.push_back(reset.beyond);
    story += "reset:" + std::string(name_of(reset.reason)) + "@" + std::to_string(reset.position) + ' ';
    return {1, OutletState::open};
  }
  OutletState caught_up(Offset position) override {
    story += "live@" + std::to_string(position) + ' ';
    return OutletState::open;
  }
  OutletState heartbeat(Offset position, std::uint64_t written) override {
    story += "beat@" + std::to_string(position) + "/" + std::to_string(written) + ' ';
    return beat_blocks ? OutletState::blocked : OutletState::open;
  }
  void end(Code code) override { story += "end:" + std::string(info(code).name) + ' '; }
};

struct Questions : PageSource {
  std::deque<PageQuestion> waiting;
  bool full = false;
  bool ask(PageQuestion question) override {
    if (full) return false;
    waiting.push_back(std::move(question));
    return true;
  }
};

struct HubTest : ::testing::Test {
  std::unique_ptr<Store> store = make_memory_store();
  std::unique_ptr<StoreReader> reader;
  ManualClock clock;
  std::unique_ptr<Log> log;
  Questions pages;
  std::unique_ptr<Shard> shard;
  Recorder ana;

  HubTest() { open(limits::tail_bytes_max); }

  void open(std::size_t tail_bytes) {
    LogOptions options;
    options.tail_bytes_max = tail_bytes;
    options.ephemeral = {"ephemeral/#"};
    log = std::move(Log::open(*store, options, Epoch{1})).value();
    reader = std::move(store->open_reader()).value();
    shard = std::make_unique<Shard>(log->tail(), pages);
  }
  void publish(std::string topic, std::string type = "message", std::string keys = {}) {
    PublishRequest request;
    Event event;
    event.topic = std::move(topic);
    event.type = std::move(type);
    event.keys = std::move(keys);
    request.events.push_back(std::move(event));
    ASSERT_TRUE(log->publish({&request, 1}, clock.wall())[0]);
  }
  // Of each topic only the newest so many are kept from now on; what is more goes at once.
  void keep(std::uint64_t events) {
    log->set_retention({}, {{"#", {}, events}});
    ASSERT_TRUE(log->maintain(clock.wall()));
  }
  // The process is started again: the tail is refilled from the store.
  void restart() {
    shard.reset();
    open(limits::tail_bytes_max);
  }
  SessionId attach(std::vector<Selector> selectors, Offset position) {
    Attach wish;
    wish.selectors = std::move(selectors);
    wish.position = position;
    return shard->attach(ana, wish, clock.now());
  }
  void turn() {
    while (shard->advance(clock.wall())) {
    }
  }
  void answer_pages() {
    while (!pages.waiting.empty()) {
      PageQuestion question = std::move(pages.waiting.front());
      pages.waiting.pop_front();
      shard->on_page({question.session, question.number, reader->read(question.request)}, clock.wall());
      turn();
    }
  }
};

}  // namespace belfry
