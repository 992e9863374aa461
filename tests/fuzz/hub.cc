// Anything a shard may be asked to do, in any order: each session gets what it asked for, in order, once,
// and hears nothing after its end.
#include <algorithm>
#include <deque>

#include "fuzz.h"
#include "hub/hub.h"
#include "store/memory_store.h"

using namespace belfry;

namespace {

const std::vector<std::string> topics{"a", "a/b", "a/b/c", "x", "ephemeral/e", "users/ana"};
const std::vector<std::string> patterns{"a", "a/b", "a/#", "+/b", "#", "ephemeral/+", "x", "a/+/c"};

struct Client final : Outlet {
  SessionId id = 0;
  Offset last = 0;
  std::vector<std::string> wanted;
  std::size_t room = 3;
  bool attached = false;

  Written write(std::span<const Entry* const> entries, Offset) override {
    CHECK(attached);
    const std::size_t taken = std::min(room, entries.size());
    for (const Entry* entry : entries.first(taken)) {
      const Event& event = entry->event();
      if (event.durable()) {
        CHECK(event.offset > last);
        last = event.offset;
      }
      CHECK(std::any_of(wanted.begin(), wanted.end(),
                        [&](const std::string& pattern) { return matches(pattern, event.topic); }));
    }
    room -= taken;
    return {taken, room == 0 ? OutletState::blocked : OutletState::open};
  }
  Written reset(const Reset& reset) override {
    CHECK(attached);
    last = reset.position;
    return {1, OutletState::open};
  }
  OutletState caught_up(Offset) override {
    CHECK(attached);
    return OutletState::open;
  }
  OutletState heartbeat(Offset, std::uint64_t) override {
    CHECK(attached);
    return OutletState::open;
  }
  void end(Code) override { attached = false; }
};

struct Pages : PageSource {
  std::deque<PageQuestion> waiting;
  bool ask(PageQuestion question) override {
    if (waiting.size() > 4) return false;
    waiting.push_back(std::move(question));
    return true;
  }
};

struct World {
  std::unique_ptr<Store> store = make_memory_store();
  std::unique_ptr<Log> log;
  std::unique_ptr<StoreReader> reader = std::move(store->open_reader()).value();
  ManualClock clock;
  Pages pages;
  std::unique_ptr<Shard> shard;
  std::array<Client, 4> clients;

  World() {
    LogOptions options;
    options.tail_bytes_max = 2000;
    options.ephemeral = {"ephemeral/#"};
    log = std::move(Log::open(*store, options, Epoch{7})).value();
    shard = std::make_unique<Shard>(log->tail(), pages);
  }
  void attach(Client& client, fuzz::Input& input) {
    if (client.attached) return;
    Attach wish;
    client.wanted = {patterns[input.below(patterns.size())]};
    wish.selectors.push_back(make_selector(client.wanted[0], {}).value());
    const Offset head = log->tail().head();
    wish.position = client.last = head == 0 ? 0 : input.byte() % (head + 1);
    client.attached = true;
    client.id = shard->attach(client, std::move(wish), clock.now());
  }
  void act(fuzz::Input& input) {
    const auto action = input.byte();
    Client& client = clients[input.below(clients.size())];
    switch (action % 12) {
      case 0:
        return attach(client, input);
      case 1:
        shard->detach(client.id);
        client.attached = false;
        return;
      case 2: {
        const auto& pattern = patterns[input.below(patterns.size())];
        if (!client.attached) return;
        client.wanted.push_back(pattern);
        CHECK(shard->subscribe(client.id, {make_selector(pattern, {}).value()}));
        return;
      }
      case 3:
        if (client.attached && client.wanted.size() > 1) {
          shard->unsubscribe(client.id, {make_selector(client.wanted.back(), {}).value()});
          std::erase(client.wanted, std::string(client.wanted.back()));
          if (client.wanted.empty()) client.wanted.push_back("nothing");
        }
        return;
      case 4:
        client.room = input.below(5);
        if (client.room > 0 && client.attached) shard->writable(client.id);
        return;
      case 5:
      case 6:
      case 7: {
        PublishRequest request;
        for (std::size_t i = 0; i <= input.below(4); ++i) {
          Event event;
          event.topic = topics[input.below(topics.size())];
          request.events.push_back(std::move(event));
        }
        CHECK(log->publish({&request, 1}, clock.wall())[0]);
        return;
      }
      case 8:
        while (shard->advance(clock.wall())) continue;
        return;
      case 9:
        if (!pages.waiting.empty()) {
          PageQuestion question = std::move(pages.waiting.front());
          pages.waiting.pop_front();
          shard->on_page({question.session, question.number, reader->read(question.request)},
                         clock.wall());
        }
        return;
      case 10:
        clock.advance(std::chrono::seconds(input.byte()));
        return shard->tick(clock.now(), clock.wall());
      case 11:
        return shard->end_some(Code::shutting_down, input.below(3));
    }
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  World world;
  while (!input.empty()) world.act(input);
  return 0;
}
