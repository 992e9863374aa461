// Messages of a WebSocket in the turns of a loop, without a socket.

#include "delivery/websocket.h"

#include <gtest/gtest.h>

#include <deque>

#include "store/memory_store.h"

namespace belfry {
namespace {

std::string frame_of(std::string_view text, int opcode = 1) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  if (text.size() < 126) {
    out += static_cast<char>(0x80 | text.size());
  } else {
    out += {static_cast<char>(0x80 | 126), static_cast<char>(text.size() >> 8),
            static_cast<char>(text.size() & 0xff)};
  }
  return out.append(4, '\0').append(text);  // the mask changes nothing
}

struct Wire : net::Exchange {
  net::Request asked;
  std::string out;
  bool held = false, closed = false;
  std::size_t kept = 0, keeps_max = ~std::size_t{0};
  net::StreamEvents* events = nullptr;

  const net::Request& request() const override { return asked; }
  void respond(net::Response) override {}
  void defer(net::StreamEvents&) override {}
  void begin(int, const std::vector<net::Field>&, net::StreamEvents&) override {}
  void upgrade(const std::vector<net::Field>&, net::StreamEvents& heard) override { events = &heard; }
  net::Taken write(std::span<const std::string_view> pieces) override { return {pieces.size(), false}; }
  bool write_control(std::string_view bytes) override {
    out += bytes;
    return !closed;
  }
  void hold_input() override { held = true; }
  void take_input() override { held = false; }
  bool keep(std::size_t bytes) override {
    if (bytes <= keeps_max) kept = bytes;
    return bytes <= keeps_max;
  }
  void close() override { closed = true; }

  std::size_t count(std::string_view needle) const {
    std::size_t found = 0;
    for (auto at = out.find(needle); at != std::string::npos; at = out.find(needle, at + 1)) ++found;
    return found;
  }
};

// A token is a name; each look at one is written down.
struct Gate : Gatekeeper {
  std::string looks;
  Result<Principal> authenticate(std::string_view token) override {
    looks += token;
    return Principal{"user:" + std::string(token), std::string(token), {{"#"}, {"#"}}, {}};
  }
  Result<void> check(const Principal& principal) override {
    if (principal.user == revoked) return fail(Code::token_revoked);
    return {};
  }
  std::string revoked = "nobody";
};

struct NoPages : PageSource {
  bool ask(PageQuestion) override { return true; }
};

struct WebSocketTurns : ::testing::Test {
  std::unique_ptr<Store> store = make_memory_store();
  std::unique_ptr<Log> log = std::move(Log::open(*store, {}, Epoch{1})).value();
  NoPages pages;
  Shard shard{log->tail(), pages};
  Admission admission{{}};
  std::size_t asked = 0;  // of the log-writer, which never answers
  Desk desk{[this](PublishRequest, std::uint64_t) { return ++asked > 0; }, *log, admission};
  ManualClock clock;
  Gate gate;
  std::deque<std::function<void()>> posted;
  Streams streams{{shard, log->tail(), log->epochs(), clock, gate, desk, admission, Duration{0}, [] {},
                   [this](std::function<void()> function) { posted.push_back(std::move(function)); }}};

  void open(Wire& wire, const std::string& user) {
    streams.open_websocket(wire, {}, {});
    wire.events->on_bytes(
        frame_of(R"({"action":"connect","token":")" + user + R"(","topics":["a"]})"));
    gate.looks.clear();
  }
  // One turn of the loop: what was posted before it.
  void turn() {
    for (auto& function : std::exchange(posted, {})) function();
  }
};

std::string renewals(const std::string& user, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out += frame_of(R"({"action":"renew","token":")" + user + R"("})");
  return out;
}

constexpr std::size_t kRenewalsATurn = limits::messages_turn_work_max / 16;

TEST_F(WebSocketTurns, ManyMessagesAreTakenInManyTurns) {
  Wire ana;
  open(ana, "a");
  const std::size_t count = 40;
  ana.events->on_bytes(renewals("a", count));
  EXPECT_GT(gate.looks.size(), 0u);
  EXPECT_LE(gate.looks.size(), kRenewalsATurn);
  EXPECT_TRUE(ana.held);
  // What was read already may still come.
  ana.events->on_bytes(renewals("a", count));
  EXPECT_LE(gate.looks.size(), kRenewalsATurn);
  std::size_t turns = 0;
  for (; !posted.empty(); ++turns) {
    const std::size_t before = gate.looks.size();
    turn();
    EXPECT_LE(gate.looks.size() - before, kRenewalsATurn);
  }
  EXPECT_GE(turns, 2 * count / kRenewalsATurn - 1);
  EXPECT_EQ(gate.looks.size(), 2 * count);
  EXPECT_EQ(ana.count("renewed"), 2 * count);
  EXPECT_FALSE(ana.held);
  ana.events->on_bytes(frame_of(R"({"action":"ping","id":"1"})"));
  EXPECT_EQ(ana.count("pong"), 1u);
  EXPECT_TRUE(posted.empty()) << "a few messages need no turn of their own";
}

TEST_F(WebSocketTurns, WhatWaitsForAnAnswerIsBounded) {
  Wire ana;
  open(ana, "a");
  const std::string mark =
      frame_of(R"({"action":"mark","mark":"read","upto":"0000000000000001.0","id":"7"})");
  for (std::size_t i = 0; i < limits::websocket_requests_max + 5; ++i) {
    ana.events->on_bytes(mark);
    while (!posted.empty()) turn();
  }
  EXPECT_EQ(asked, limits::websocket_requests_max);
  EXPECT_EQ(ana.count("overloaded"), 5u);
}

TEST_F(WebSocketTurns, AreSharedWithOtherSockets) {
  Wire ana, bob;
  open(ana, "a");
  open(bob, "b");
  ana.events->on_bytes(renewals("a", 60));
  bob.events->on_bytes(renewals("b", 60));
  while (!posted.empty()) turn();
  ASSERT_EQ(gate.looks.size(), 120u);
  int ahead = 0;
  for (const char who : gate.looks) {
    ahead += who == 'a' ? 1 : -1;
    ASSERT_LE(std::abs(ahead), static_cast<int>(kRenewalsATurn));
  }
}

TEST_F(WebSocketTurns, WhatIsIncompleteIsCountedUntilItIsWhole) {
  Wire ana;
  open(ana, "a");
  EXPECT_EQ(ana.kept, 0u);
  const std::string ping = frame_of(R"({"action":"ping","id":"1")" + std::string(200, ' ') + "}");
  ana.events->on_bytes(ping + ping.substr(0, 90));
  EXPECT_EQ(ana.kept, 90u);
  ana.events->on_bytes(std::string_view(ping).substr(90));
  EXPECT_EQ(ana.kept, 0u);
  EXPECT_EQ(ana.count("pong"), 2u);
  // A message in fragments.
  std::string half = frame_of(std::string(100, ' '), 1);
  half[0] = 1;
  ana.events->on_bytes(half);
  EXPECT_EQ(ana.kept, 100u);
  ana.events->on_bytes(frame_of(R"({"action":"ping","id":"2"})", 0));
  EXPECT_EQ(ana.kept, 0u);
  EXPECT_EQ(ana.count("pong"), 3u);
  // Whole messages that wait for their turn, and what comes meanwhile.
  ana.events->on_bytes(renewals("a", 20));
  EXPECT_GT(ana.kept, 0u);
  const std::size_t before = ana.kept;
  ana.events->on_bytes(ping);
  EXPECT_EQ(ana.kept, before + ping.size());
  while (!posted.empty()) turn();
  EXPECT_EQ(ana.kept, 0u);
}

TEST_F(WebSocketTurns, WhoMayNotKeepAMessageIsClosed) {
  Wire ana;
  open(ana, "a");
  ana.keeps_max = 80;
  const std::string ping = frame_of(R"({"action":"ping","id":"1")" + std::string(200, ' ') + "}");
  ana.events->on_bytes(std::string_view(ping).substr(0, 80));
  EXPECT_EQ(ana.kept, 80u);
  EXPECT_FALSE(ana.closed);
  ana.events->on_bytes(std::string_view(ping).substr(80, 1));
  EXPECT_TRUE(ana.closed);
  EXPECT_EQ(ana.count("overloaded"), 2u) << "as a message, and as the reason of the close";
  EXPECT_EQ(ana.kept, 0u);
}

TEST_F(WebSocketTurns, WhoIsClosedMeanwhileKeepsNothing) {
  Wire ana, bob;
  open(ana, "a");
  open(bob, "b");
  ana.events->on_bytes(frame_of(std::string(100, ' ')).substr(0, 90));
  bob.events->on_bytes(renewals("b", 20));
  EXPECT_EQ(ana.kept, 90u);
  EXPECT_GT(bob.kept, 0u);
  shard.end_all(Code::unauthenticated);
  EXPECT_EQ(ana.kept + bob.kept, 0u);
  // Or by the last message that there was room for.
  Wire eve;
  open(eve, "e");
  eve.events->on_bytes(renewals("e", 20));
  eve.keeps_max = eve.kept;
  eve.events->on_bytes("x");
  EXPECT_TRUE(eve.closed);
  EXPECT_EQ(eve.kept, 0u);
  while (!posted.empty()) turn();
}

// However slowly, and whatever comes between.
TEST_F(WebSocketTurns, WhatHasBegunIsWholeInTime) {
  const std::string ping = frame_of(R"({"action":"ping","id":"1")" + std::string(200, ' ') + "}");
  std::string fragment = frame_of(R"({"action":"ping",)", 1);
  fragment[0] = 1;
  for (const std::string& half : {ping.substr(0, 90), fragment}) {
    Wire ana;
    open(ana, "a");
    ana.events->on_bytes(half);
    const auto last = std::chrono::duration_cast<std::chrono::seconds>(limits::body_time_max).count() - 1;
    for (int second = 0; second < last; ++second) {
      clock.advance(std::chrono::seconds(1));
      streams.tick(clock.now());
      ana.events->on_bytes(half == fragment ? frame_of("", 9) : " ");
    }
    EXPECT_FALSE(ana.closed);
    clock.advance(std::chrono::seconds(1));
    streams.tick(clock.now());
    EXPECT_TRUE(ana.closed);
    EXPECT_EQ(ana.count("The rest of a message"), 1u);
    EXPECT_EQ(ana.kept, 0u);
    ana.events->on_closed();
    turn();
  }
}

TEST_F(WebSocketTurns, WhatIsAllThereHasTimeToWaitForItsTurn) {
  std::string topics = "\"a\"";
  for (int i = 0; i < 63; ++i) topics += ",\"t/" + std::to_string(i) + '"';
  const std::string ping = frame_of(R"({"action":"ping","id":"1"})");
  const std::string many = frame_of(R"({"action":"subscribe","topics":[)" + topics + "]}") + ping;
  std::string fragments = frame_of(R"({"action":"ping",)", 1);
  fragments[0] = 1;
  for (int i = 0; i < 200; ++i) fragments += frame_of("", 9);
  fragments += frame_of(R"("id":"9"})", 0);
  for (const std::string& bytes : {renewals("a", 20), many, fragments}) {
    Wire ana;
    open(ana, "a");
    ana.events->on_bytes(bytes);
    EXPECT_TRUE(ana.held);
    for (int i = 0; i < 2; ++i) {
      clock.advance(limits::body_time_max);
      streams.tick(clock.now());
    }
    while (!posted.empty()) turn();
    EXPECT_FALSE(ana.closed);
    EXPECT_FALSE(ana.held);
    ana.events->on_closed();
    turn();
  }
}

TEST_F(WebSocketTurns, AFloodOfWholeOnesGivesAHalfOneNoTime) {
  Wire ana;
  open(ana, "a");
  std::string fragment = frame_of(R"({"action":"ping",)", 1);
  fragment[0] = 1;
  ana.events->on_bytes(fragment);
  std::string flood;
  for (int i = 0; i < 300; ++i) flood += frame_of("", 9);
  int seconds = 0;
  for (; seconds < 60 && !ana.closed; ++seconds) {
    ana.events->on_bytes(flood);
    clock.advance(std::chrono::seconds(1));
    streams.tick(clock.now());
    while (!posted.empty()) turn();
  }
  EXPECT_LE(seconds, 31);
  EXPECT_EQ(ana.kept, 0u);
  while (!posted.empty()) turn();
}

TEST_F(WebSocketTurns, WhoSendsWholeMessagesHasNewTimeForEach) {
  Wire ana;
  open(ana, "a");
  const std::string ping = frame_of(R"({"action":"ping","id":"1"})");
  ana.events->on_bytes(ping.substr(0, 20));
  for (int i = 0; i < 10; ++i) {
    clock.advance(limits::body_time_max - Duration{1});
    streams.tick(clock.now());
    ana.events->on_bytes(ping.substr(20) + ping.substr(0, 20));
  }
  ana.events->on_bytes(ping.substr(20));
  clock.advance(std::chrono::hours(1));
  streams.tick(clock.now());
  EXPECT_FALSE(ana.closed);
  EXPECT_EQ(ana.count("pong"), 11u);
}

// Topics cost as much as messages.
TEST_F(WebSocketTurns, SubscribesCountTheirTopics) {
  Wire ana;
  open(ana, "a");
  std::string topics;
  for (int i = 0; i < 60; ++i) topics += (i == 0 ? "\"t/" : ",\"t/") + std::to_string(i) + '"';
  std::string bytes;
  for (int i = 0; i < 9; ++i) bytes += frame_of(R"({"action":"subscribe","topics":[)" + topics + "]}");
  ana.events->on_bytes(bytes);
  EXPECT_LE(ana.count("subscribed"), 2u);
  while (!posted.empty()) turn();
  EXPECT_EQ(ana.count("subscribed"), 9u);
}

TEST_F(WebSocketTurns, ACloseFrameBehindManyMessagesIsHeardAfterThem) {
  Wire ana;
  open(ana, "a");
  ana.events->on_bytes(renewals("a", 20) + frame_of("\x03\xe8", 8));
  EXPECT_FALSE(ana.closed);
  while (!posted.empty()) turn();
  EXPECT_EQ(ana.count("renewed"), 20u);
  EXPECT_TRUE(ana.closed);
}

TEST_F(WebSocketTurns, AFrameThatIsWrongBehindManyMessagesIsHeardAfterThem) {
  Wire ana;
  open(ana, "a");
  ana.events->on_bytes(renewals("a", 20) + "\xff\x80");
  EXPECT_FALSE(ana.closed);
  while (!posted.empty()) turn();
  EXPECT_EQ(ana.count("renewed"), 20u);
  EXPECT_TRUE(ana.closed);
}

// Let in by a cookie, revoked before its first message.
TEST_F(WebSocketTurns, WhoWasRevokedBeforeTheFirstMessageIsNotConnected) {
  Wire ana, eve;
  const auto by_cookie = [&](Wire& wire, const std::string& user) {
    streams.open_websocket(wire, {}, Principal{"user:" + user, user, {{"#"}, {"#"}}, {}});
  };
  by_cookie(ana, "ana");
  by_cookie(eve, "eve");
  gate.revoked = "eve";
  for (Wire* wire : {&ana, &eve})
    wire->events->on_bytes(frame_of(R"({"action":"connect","topics":["a"]})"));
  EXPECT_EQ(ana.count("connected"), 1u);
  EXPECT_FALSE(ana.closed);
  EXPECT_EQ(eve.count("connected"), 0u);
  EXPECT_EQ(eve.count("token_revoked"), 2u) << "as a message, and as the reason of the close";
  EXPECT_TRUE(eve.closed);
}

TEST_F(WebSocketTurns, ASocketThatWasClosedMeanwhileDoesNothingMore) {
  Wire ana, bob;
  open(ana, "a");
  open(bob, "b");
  ana.events->on_bytes(renewals("a", 20));
  shard.end_all(Code::unauthenticated);
  EXPECT_TRUE(ana.closed);
  const std::size_t before = gate.looks.size();
  while (!posted.empty()) turn();
  EXPECT_EQ(gate.looks.size(), before);
}

TEST_F(WebSocketTurns, ASocketThatIsGoneMeanwhileIsNotTouched) {
  auto ana = std::make_unique<Wire>();
  Wire bob;
  open(*ana, "a");
  open(bob, "b");
  ana->events->on_bytes(renewals("a", 20));
  bob.events->on_bytes(renewals("b", 20));
  ana->events->on_closed();
  ana.reset();
  const auto before = std::count(gate.looks.begin(), gate.looks.end(), 'a');
  while (!posted.empty()) turn();
  EXPECT_EQ(std::count(gate.looks.begin(), gate.looks.end(), 'a'), before);
  EXPECT_EQ(std::count(gate.looks.begin(), gate.looks.end(), 'b'), 20);
  EXPECT_EQ(streams.size(), 1u);
}

}  // namespace
}  // namespace belfry
