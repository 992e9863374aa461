#include "net/http_parser.h"
#include "net/server_fixture.h"

#include <malloc.h>

#include "net/http_client.h"

namespace belfry::net {
namespace {

using HttpServerTest = ServerTest<SystemClock>;

TEST_F(HttpServerTest, KeepAliveAndPipelining) {
  Peer peer(server->port());
  peer.send(
      "GET /a?x=%2F&y HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: "
      "3\r\n\r\nabc"
      "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string all = peer.to_end();
  const auto a = all.find("GET /a x=/ y= "), b = all.find("POST /b abc"), c = all.find("GET /c ");
  EXPECT_TRUE(a < b && b < c && c != std::string::npos) << all;
}

TEST_F(HttpServerTest, BadRequestsAreAnsweredAndEndTheConnection) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"NONSENSE\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
      {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", "431"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\n\r\nx", "415"},
  };
  for (const auto& [request, status] : table) {
    Peer peer(server->port());
    peer.send(request);
    const std::string answer = peer.to_end();
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + status) << request.substr(0, 60);
    EXPECT_NE(answer.find("\"code\":"), std::string::npos);
  }
}

TEST_F(HttpServerTest, ContinueChunkedAndHead) {
  Peer peer(server->port());
  peer.send("POST /b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_NE(peer.until("100 Continue\r\n\r\n").find("100"), std::string::npos);
  peer.send("abc");
  EXPECT_NE(peer.until("abc").find("POST /b abc"), std::string::npos);
  peer.send("POST /d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n");
  EXPECT_NE(peer.until("xyz").find("POST /d xyz"), std::string::npos);
  peer.send("HEAD /e HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string head = peer.to_end();
  EXPECT_NE(head.find("Content-Length: 8"), std::string::npos) << head;
  EXPECT_EQ(head.find("HEAD /e"), std::string::npos);
}

TEST_F(HttpServerTest, WhatIsPipelinedBehindADeferredAnswerIsReadOn) {
  Peer peer(server->port());
  const std::string body(300'000, 'b');
  peer.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + body);
  wait_for([this] { return echo.held != nullptr; });
  settle();
  on_loop([this] { return echo.held->respond({200, {}, "late"}), 0; });
  EXPECT_NE(peer.until(body).find("POST /p "), std::string::npos);
}

TEST_F(HttpServerTest, MemoryOfARequestGoesWithIt) {
  const auto in_use = [] {
    const struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
  };
  std::vector<std::unique_ptr<Peer>> peers;
  const std::string body(500'000, 'b');
  const std::size_t before = on_loop(in_use);
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<Peer>(server->port()));
    peers.back()->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + body);
    EXPECT_NE(peers.back()->until(body).find("200 OK"), std::string::npos);
  }
  settle();
  EXPECT_LT(on_loop(in_use), before + 20 * 20'000) << "of twenty idle connections";
}

TEST_F(HttpServerTest, ChunkFramingIsBounded) {
  const std::string head = "POST /z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string many, small;
  for (int i = 0; i < 3000; ++i) many += "1;" + std::string(60, 'e') + "\r\nx\r\n";
  for (int i = 0; i < 3000; ++i) small += "1\r\nx\r\n";
  const std::vector<std::pair<std::string, std::string>> table{
      {"5;a=" + std::string(20'000, 'x'), "400"},               // an extension without end
      {std::string(20'000, '0'), "400"},                        // a size without end
      {"0\r\nA: " + std::string(20'000, 'x'), "400"},           // a trailer without end
      {many + "0\r\n\r\n", "400"},                             // far more framing than body
      {"5;a=" + std::string(3000, 'x') + "\r\nabcde\r\n0\r\n\r\n", "200"},
      {small + "0\r\n\r\n", "200"},                            // a body byte by byte
  };
  for (const auto& [body, status] : table) {
    Peer peer(server->port());
    peer.send(head + body);
    const std::string answer = peer.until("\r\n\r\n");
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + status) << body.substr(0, 20);
  }
}

// What stands behind the body was looked at by nobody on the way: no proxy has taken it out.
TEST_F(HttpServerTest, TrailersAreNoFieldsOfTheHead) {
  const std::string request =
      "POST /p HTTP/1.1\r\nHost: h\r\nX-Echo: head\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nabcde\r\n0\r\nX-Echo: trailer\r\nHost: other\r\n\r\n";
  for (const std::size_t piece : {request.size(), std::size_t{1}, std::size_t{40}}) {
    Peer peer(server->port());
    for (std::size_t at = 0; at < request.size(); at += piece) {
      if (piece > 1) settle();
      peer.send(request.substr(at, piece));
    }
    const std::string answer = peer.until("abcde");
    EXPECT_NE(answer.find("200 OK"), std::string::npos) << piece;
    EXPECT_NE(answer.find("POST /p x-echo:head abcde"), std::string::npos) << piece << answer;
    peer.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(peer.until("GET /next").find("200 OK"), std::string::npos) << "the next request is whole";
  }
  Peer peer(server->port());
  peer.send("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\nabcde\r\n0\r\nContent-Length: 7\r\n\r\n");
  EXPECT_NE(peer.until("\r\n\r\n").find("400 Bad Request"), std::string::npos) << "two lengths";
}

// What is taken of a request that comes in two reads; what was not taken comes again with the rest.
Result<Request> in_two(const std::string& text, std::size_t cut) {
  RequestParser parser;
  std::string input = text.substr(0, cut);
  for (int read = 0; read < 2; ++read) {
    for (std::size_t used = 1; used > 0 && !input.empty();) {
      if (parser.progress() == RequestParser::Progress::done) break;
      used = TRY(parser.feed(input));
      input.erase(0, used);
    }
    if (read == 0) input += text.substr(cut);
  }
  if (parser.progress() != RequestParser::Progress::done) return fail(Code::internal, "It is not done.");
  return parser.take();
}

TEST(RequestParserTest, AHeadIsTheSameWhereverItIsCut) {
  const std::string length = "Content-Length: 6\r\n", begin = "POST /p HTTP/1.1\r\nHost: h\r\n";
  const std::string body = "a\n\r\n\r\n";
  const std::string chunks = "6\r\n" + body + "\r\n0\r\n\r\n";
  for (const std::string& good : {begin + "X: a\r\n" + length + "\r\n" + body,
                                  begin + "Transfer-Encoding: chunked\r\n\r\n" + chunks})
    for (std::size_t cut = 0; cut <= good.size(); ++cut) {
      const auto request = in_two(good, cut);
      ASSERT_TRUE(request) << cut << " " << request.error().detail;
      EXPECT_EQ(request.value().body, body) << cut;
    }
  for (const std::string& bad :
       {begin + "X: a\r\n b\r\n" + length + "\r\n" + body,
        begin + "X:\r\n\tb\r\n" + length + "\r\n" + body, begin + "X: a\n" + length + "\r\n" + body,
        begin + "Transfer-Encoding:\r\n chunked\r\nZ: b\r\n\r\n" + chunks})
    for (std::size_t cut = 0; cut <= bad.size(); ++cut) {
      const auto request = in_two(bad, cut);
      ASSERT_FALSE(request) << cut;
      EXPECT_EQ(request.error().code, Code::bad_request) << cut << " " << request.error().detail;
    }
}

TEST(RequestParserTest, ALongHeadIsJudgedByItsLengthNotByItsReads) {
  const auto head = [](std::size_t bytes, const std::string& more = {}) {
    const std::string field = "X-One: " + std::string(500, 'x') + "\r\n";
    std::string out = "POST / HTTP/1.1\r\nHost: h\r\n" + more;
    while (out.size() + field.size() + 2 <= bytes) out += field;
    return out + "\r\n";
  };
  const std::string good = head(limits::header_bytes_max - 100);
  const std::string chunked =
      head(limits::header_bytes_max - 100, "Transfer-Encoding: chunked\r\n") + "1\r\na\r\n0\r\n\r\n";
  for (std::size_t cut = 0; cut < good.size(); cut += 997) {
    EXPECT_TRUE(in_two(good, cut)) << cut;
    EXPECT_TRUE(in_two(chunked, cut)) << cut << " the head is no framing of chunks";
  }
  const std::string bad = head(limits::header_bytes_max + 600);
  ASSERT_GT(bad.size(), limits::header_bytes_max);
  for (std::size_t cut = 0; cut < bad.size(); cut += 997) {
    const auto request = in_two(bad, cut);
    ASSERT_FALSE(request) << cut;
    EXPECT_EQ(request.error().code, Code::header_too_large) << cut;
  }
}

TEST_F(HttpServerTest, WhoComesWhileAcceptingIsPausedIsServedAfterwards) {
  const auto pause = [this](bool paused) {
    return on_loop([&] {
      server->pause_accepting(paused);
      return server->counts().accepted;
    });
  };
  const auto before = pause(true);
  Peer peer(server->port());
  peer.send("GET /z HTTP/1.1\r\nHost: h\r\n\r\n");
  settle();
  EXPECT_EQ(pause(false), before);
  EXPECT_NE(peer.until("GET /z").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, ALastChunkMayComeByteByByte) {
  Peer peer(server->port());
  peer.send("POST /z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const char* piece : {"0", "\r", "\n", "\r", "\n"}) {
    settle();
    peer.send(piece);
  }
  EXPECT_NE(peer.until("POST /z").find("200 OK"), std::string::npos);
}

TEST_F(HttpServerTest, ADeferredAnswerAndAPeerThatLeaves) {
  Peer peer(server->port());
  peer.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.held != nullptr; });
  on_loop([this] { return echo.held->respond({200, {}, "late"}), 0; });
  const std::string all = peer.until("/next");
  EXPECT_LT(all.find("late"), all.find("/next"));
  {
    on_loop([this] { return echo.held = nullptr, 0; });
    Peer leaving(server->port());
    leaving.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for([this] { return echo.held != nullptr; });
  }
  wait_for([this] { return echo.closed == 1; });
}

// Pieces that lie side by side go out by a plain send, others by a gathered one; what counts as taken is
// the same.
class SlowReader : public HttpServerTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Pieces, SlowReader, ::testing::Values(false, true), [](const auto& side_by_side) {
  return side_by_side.param ? "SideBySide" : "Apart";
});

TEST_P(SlowReader, GetsEveryPieceInOrder) {
  Peer peer(server->port());
  peer.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.streams.size() == 1; });
  std::size_t next = 0;
  const std::size_t total = 3000;
  const auto write_some = [&] {
    while (next < total) {
      std::vector<std::string> bodies;
      for (std::size_t i = next; i < std::min(total, next + 50); ++i)
        bodies.push_back(std::to_string(i) + std::string(1000, '.') + "\n");
      std::vector<std::string_view> pieces(bodies.begin(), bodies.end());
      std::string joined;
      if (GetParam()) {
        for (const std::string& one : bodies) joined += one;
        std::size_t at = 0;
        for (std::string_view& piece : pieces) {
          piece = std::string_view(joined).substr(at, piece.size());
          at += piece.size();
        }
      }
      const Taken taken = echo.streams[0]->write(pieces);
      next += taken.pieces;
      if (taken.blocked) return 0;
    }
    return echo.streams[0]->close(), 0;
  };
  on_loop(write_some);
  EXPECT_LT(on_loop([&] { return next; }), total) << "the socket must have been full once";
  std::string got;
  int seen = 0;
  char buffer[65536];
  for (;;) {
    const int writable = on_loop([this] { return echo.writable; });
    if (writable != std::exchange(seen, writable)) on_loop(write_some);
    const ssize_t count = ::recv(peer.socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count == 0) break;
    if (count > 0) got.append(buffer, static_cast<std::size_t>(count));
  }
  std::string expected;
  for (std::size_t i = 0; i < total; ++i) expected += std::to_string(i) + std::string(1000, '.') + "\n";
  EXPECT_EQ(got.substr(got.find("\r\n\r\n") + 4), expected);
  ::shutdown(peer.socket, SHUT_RDWR);
  wait_for([this] { return echo.closed == 1; });
}

TEST_F(HttpServerTest, AnIdleStreamCostsLittleAndAbruptClosesAreSafe) {
  constexpr std::size_t count = 500;
  const auto heap = [] { return static_cast<long>(mallinfo2().uordblks); };
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(count);
  for (std::size_t i = 0; i < 20; ++i) peers.push_back(std::make_unique<Peer>(server->port()));
  for (auto& peer : peers) peer->send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_for([this] { return echo.streams.size() == 20; });
  const long before = heap();
  for (std::size_t i = 20; i < count; ++i) {
    peers.push_back(std::make_unique<Peer>(server->port()));
    peers.back()->send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  wait_for([this] { return echo.streams.size() == count; });
  const long each = (on_loop(heap) - before) / static_cast<long>(count - 20);
  std::printf("heap of an idle stream: %ld bytes\n", each);
  EXPECT_LT(each, 1024);
  const linger now{1, 0};
  for (auto& peer : peers) ::setsockopt(peer->socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  peers.clear();
  wait_for([this] { return echo.closed == static_cast<int>(count) && server->connections() == 0; });
}

struct LittleMemory : ServerTest<SystemClock> {
  static HttpServerOptions options() {
    static ConnectionBudget budget(100, 100);
    budget.set_bytes_max(1'000'000);
    HttpServerOptions made;
    made.budget = &budget;
    made.look_around = Duration{3'600'000};  // nobody is let go for what others ask
    return made;
  }
  LittleMemory() : ServerTest(options()) {}
};

TEST_F(LittleMemory, BodiesOfAllConnectionsTogetherAreBounded) {
  const std::string head = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 700001\r\n\r\n";
  {
    Peer first(server->port());
    first.send(head);
    first.send(std::string(700'000, 'x'));
    wait_for([this] { return server->connections() == 1; });
    settle();
    Peer second(server->port());
    second.send(head);
    second.send(std::string(700'000, 'y'));
    EXPECT_EQ(second.to_end().substr(0, 12), "HTTP/1.1 503");
    first.send("x");
    EXPECT_NE(first.until("POST /b xxx").find("200 OK"), std::string::npos);
  }
  wait_for([this] { return server->connections() == 0; });
  Peer third(server->port());
  third.send(head);
  third.send(std::string(700'001, 'z'));
  EXPECT_NE(third.until("POST /b zzz").find("200 OK"), std::string::npos) << "all was given back";
}

TEST_F(HttpServerTest, TheClientSpeaksWithTheServer) {
  ClientRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(server->port()) + "/x?q=1";
  request.method = "POST";
  request.body = "hi";
  const auto answer = fetch(request);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer.value().body, "POST /x q=1 hi");
  request.url = "http://127.0.0.1:1/";
  EXPECT_EQ(fetch(request).error().code, Code::connection_failed);
  request.url = "nonsense";
  EXPECT_EQ(fetch(request).error().code, Code::bad_parameter);
}

}  // namespace
}  // namespace belfry::net
