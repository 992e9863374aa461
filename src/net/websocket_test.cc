#include "net/websocket.h"

#include <gtest/gtest.h>

namespace belfry::net {
namespace {

std::string masked(int first, std::string_view payload, bool mask = true) {
  std::string out(1, static_cast<char>(first));
  const int bit = mask ? 0x80 : 0;
  if (payload.size() < 126) {
    out += static_cast<char>(bit | static_cast<int>(payload.size()));
  } else if (payload.size() <= 0xffff) {
    out += static_cast<char>(bit | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  } else {
    out += static_cast<char>(bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift & 0xff);
  }
  const std::string key = "\x12\x34\x56\x78";
  if (mask) out += key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    out += static_cast<char>(mask ? payload[i] ^ key[i % 4] : payload[i]);
  return out;
}

// What a client's bytes come to, in one line; fed whole, or byte by byte.
std::string story(const std::string& bytes, std::size_t step) {
  WebSocketParser parser;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    parser.feed(std::string_view(bytes).substr(at, step));
    while (auto message = parser.next()) {
      using Kind = WebSocketMessage::Kind;
      switch (message->kind) {
        case Kind::text:
          out += "text:" + message->payload.substr(0, 20) + " ";
          break;
        case Kind::binary:
          out += "binary ";
          break;
        case Kind::ping:
          out += "ping:" + message->payload + " ";
          break;
        case Kind::pong:
          out += "pong ";
          break;
        case Kind::close:
          out += "close:" + std::to_string(message->close_code) + message->payload + " ";
          break;
      }
    }
    if (parser.failure()) return out + "fail:" + std::to_string(parser.failure()->close_code);
  }
  return out;
}

TEST(WebSocketParser, Rfc6455Table) {
  const std::vector<std::pair<std::string, std::string>> table{
      {masked(0x81, "hello"), "text:hello "},
      {masked(0x81, ""), "text: "},
      {masked(0x82, "x"), "binary "},
      {masked(0x01, "he") + masked(0x89, "p") + masked(0x80, "llo"), "ping:p text:hello "},
      {masked(0x01, "a") + masked(0x00, "") + masked(0x80, "b") + masked(0x81, "c"), "text:ab text:c "},
      {masked(0x81, std::string(70000, 'x')), "fail:1009"},
      {masked(0x81, std::string(60000, 'x')), "text:xxxxxxxxxxxxxxxxxxxx "},
      {masked(0x81, "x", false), "fail:1002"},
      {masked(0xc1, "x"), "fail:1002"},
      {masked(0x83, "x"), "fail:1002"},
      {masked(0x8b, "x"), "fail:1002"},
      {masked(0x80, "x"), "fail:1002"},
      {masked(0x01, "x") + masked(0x81, "y"), "fail:1002"},
      {masked(0x09, "x"), "fail:1002"},
      {masked(0x89, std::string(126, 'x')), "fail:1002"},
      {std::string("\x81\xfe\x00\x05", 4) + "kkkkhello", "fail:1002"},
      {std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10) + "kkkk", "fail:1009"},
      {masked(0x81, "\xff"), "fail:1007"},
      {masked(0x01, "\xe2\x82") + masked(0x80, "\xac"), "text:\xe2\x82\xac "},
      {masked(0x88, ""), "close:1005 "},
      {masked(0x88, std::string("\x03\xe8", 2) + "bye"), "close:1000bye "},
      {masked(0x88, "\x03"), "fail:1002"},
      {masked(0x88, std::string("\x03\xec", 2)), "fail:1002"},
      {masked(0x88, std::string("\x03\xe7", 2)), "fail:1002"},
      {masked(0x88, std::string("\x03\xe8\xff", 3)), "fail:1007"},
  };
  for (const auto& [bytes, expected] : table) {
    EXPECT_EQ(story(bytes, bytes.size()), expected);
    EXPECT_EQ(story(bytes, 1), expected);
  }
}

TEST(WebSocketParser, FragmentsAreBounded) {
  std::string bytes = masked(0x01, "a");
  for (std::size_t i = 0; i < limits::websocket_fragments_max + 1; ++i) bytes += masked(0x00, "");
  EXPECT_EQ(story(bytes, bytes.size()), "fail:1008");
  EXPECT_EQ(story(bytes, 1), "fail:1008");
}

// What it holds in memory is in proportion to what is told of it.
TEST(WebSocketParser, AWholeReadLeavesNoRoomBehind) {
  std::string pongs;
  while (pongs.size() + 6 < 64 * 1024) pongs += std::string("\x8a\x80\0\0\0\0", 6);
  ByteQueue queue;
  WebSocketParser parser;
  for (int round = 0; round < 3; ++round) {
    queue.append(pongs + '\x8a');
    for (std::size_t dropped = 0; dropped < pongs.size(); dropped += 6) {
      queue.drop(6);
      ASSERT_LE(queue.capacity(), std::max<std::size_t>(ByteQueue::kept_bytes, 4 * queue.size()));
    }
    EXPECT_EQ(queue.view(), "\x8a");
    queue.drop(1);
    parser.feed(pongs.substr(0, pongs.size() - 1));
    while (parser.next()) continue;
    EXPECT_EQ(parser.held(), 5u);
    EXPECT_LE(parser.memory(), 300u);
    parser.feed(pongs.substr(pongs.size() - 1));
    while (parser.next()) continue;
    EXPECT_EQ(parser.held(), 0u);
  }
}

TEST(WebSocketFrames, LengthForms) {
  EXPECT_EQ(websocket_text("hi"), std::string("\x81\x02hi", 4));
  EXPECT_EQ(websocket_text(std::string(126, 'x')).substr(0, 4), std::string("\x81\x7e\x00\x7e", 4));
  EXPECT_EQ(websocket_text(std::string(65536, 'x')).substr(0, 10),
            std::string("\x81\x7f\0\0\0\0\0\1\0\0", 10));
  EXPECT_EQ(websocket_close(1000, std::string(200, 'x')).size(), 2u + 125u);
}

TEST(WebSocketUpgrade, AcceptKeyOfTheRfc) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketUpgrade, RequestTable) {
  Request request;
  request.method = "GET";
  request.headers = {{"upgrade", "WebSocket"},
                     {"connection", "keep-alive, Upgrade"},
                     {"sec-websocket-version", "13"},
                     {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  EXPECT_TRUE(wants_websocket(request));
  EXPECT_TRUE(check_websocket_upgrade(request));
  auto other = request;
  other.headers[2].second = "8";
  EXPECT_EQ(check_websocket_upgrade(other).error().code, Code::upgrade_required);
  other = request;
  other.headers[3].second = "short";
  EXPECT_EQ(check_websocket_upgrade(other).error().code, Code::bad_request);
  other = request;
  other.headers[1].second = "keep-alive";
  EXPECT_FALSE(check_websocket_upgrade(other));
}

}  // namespace
}  // namespace belfry::net
