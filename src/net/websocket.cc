#include "net/websocket.h"

#include <openssl/evp.h>

#include <algorithm>

namespace belfry::net {
namespace {

enum Opcode { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

std::string frame(Opcode opcode, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 10);
  out += static_cast<char>(0x80 | opcode);
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else if (payload.size() <= 0xffff) {
    out += static_cast<char>(126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  } else {
    out += static_cast<char>(127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift & 0xff);
  }
  out += payload;
  return out;
}

bool is_close_code(int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1011) || (code >= 3000 && code <= 4999);
}

// Whether a comma-separated header holds the token, without regard to case.
bool holds_token(std::string_view header, std::string_view token) {
  while (!header.empty()) {
    const auto comma = header.find(',');
    auto item = header.substr(0, comma);
    header = comma == std::string_view::npos ? std::string_view{} : header.substr(comma + 1);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (std::equal(item.begin(), item.end(), token.begin(), token.end(),
                   [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; }))
      return true;
  }
  return false;
}

}  // namespace

std::string websocket_text(std::string_view payload) { return frame(text, payload); }
std::string websocket_ping(std::string_view payload) { return frame(ping, payload); }
std::string websocket_pong(std::string_view payload) { return frame(pong, payload); }

std::string websocket_close(int code, std::string_view reason) {
  std::size_t size = std::min<std::size_t>(reason.size(), 123);
  while (size < reason.size() && size > 0 && (static_cast<unsigned char>(reason[size]) & 0xc0) == 0x80)
    --size;
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload += reason.substr(0, size);
  return frame(close, payload);
}

bool wants_websocket(const Request& request) {
  const auto upgrade = request.header("upgrade");
  return request.tunnel || (upgrade && holds_token(*upgrade, "websocket"));
}

Result<void> check_websocket_upgrade(const Request& request) {
  if (request.header("sec-websocket-version") != "13") return belfry::fail(Code::upgrade_required);
  if (request.tunnel) return {};  // RFC 8441 section 5: without a key
  const auto connection = request.header("connection");
  if (request.method != "GET" || !connection || !holds_token(*connection, "upgrade"))
    return belfry::fail(Code::bad_request, "A WebSocket opens by GET with Connection: Upgrade.");
  // 16 bytes in base64: 22 characters and two of padding.
  const auto key = request.header("sec-websocket-key").value_or("");
  if (key.size() != 24 || key.substr(22) != "==" || key.find_first_of("= ,") != 22)
    return belfry::fail(Code::bad_request, "Sec-WebSocket-Key is malformed.");
  return {};
}

std::string websocket_accept(std::string_view key) {
  const std::string text_in = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  CHECK(EVP_Q_digest(nullptr, "SHA1", nullptr, text_in.data(), text_in.size(), digest, &size) == 1);
  return to_base64({reinterpret_cast<const char*>(digest), size});
}

void WebSocketParser::feed(std::string_view bytes) { input_.append(bytes); }

void WebSocketParser::fail(int code, std::string reason) { failure_ = Failure{code, std::move(reason)}; }

// RFC 6455 section 5.2, before anything is allocated for the payload.
bool WebSocketParser::check_head(unsigned char first, unsigned char second, std::uint64_t length) {
  const int opcode = first & 0x0f;
  const bool control = opcode >= close;
  if ((first & 0x70) != 0) {
    fail(1002, "A reserved bit is set.");
  } else if (opcode > pong || (opcode > binary && opcode < close)) {
    fail(1002, "The opcode is not known.");
  } else if ((second & 0x80) == 0) {
    fail(1002, "Frames from a client must be masked.");
  } else if (control && ((first & 0x80) == 0 || length > 125)) {
    fail(1002, "A control frame is fragmented or too long.");
  } else if (!control && (opcode == continuation) != in_message_) {
    fail(1002, "A continuation frame is out of place.");
  } else if (!control && length > limits::websocket_message_bytes_max - message_.size()) {
    fail(1009, "The message is too large.");
  } else if (opcode == continuation && ++fragments_ > limits::websocket_fragments_max) {
    fail(1008, "The message has too many fragments.");
  }
  return !failure_;
}

std::optional<WebSocketParser::Frame> WebSocketParser::take_frame() {
  const std::string_view input = input_.view();
  if (input.size() < 2) return std::nullopt;
  const auto byte = [input](std::size_t at) { return static_cast<unsigned char>(input[at]); };
  std::uint64_t length = byte(1) & 0x7f;
  const std::size_t length_bytes = length == 127 ? 8 : length == 126 ? 2 : 0;
  if (input.size() < 2 + length_bytes) return std::nullopt;
  if (length_bytes > 0) {
    length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) length = length << 8 | byte(2 + i);
    if (length < (length_bytes == 2 ? 126u : 0x10000u)) {
      fail(1002, "The length is not in its shortest form.");
      return std::nullopt;
    }
  }
  const std::size_t head = 2 + length_bytes + 4;
  const bool incomplete = input.size() < head || input.size() - head < length;
  // A frame that is not whole yet is only counted and checked once it is, except for what would never be
  // accepted.
  const std::size_t fragments = fragments_;
  if (!check_head(byte(0), byte(1), length)) return std::nullopt;
  if (incomplete) {
    fragments_ = fragments;
    return std::nullopt;
  }
  Frame frame{(byte(0) & 0x80) != 0, byte(0) & 0x0f,
              std::string(input.substr(head, static_cast<std::size_t>(length)))};
  for (std::size_t i = 0; i < frame.payload.size(); ++i)
    frame.payload[i] = static_cast<char>(frame.payload[i] ^ input[2 + length_bytes + i % 4]);
  input_.drop(head + static_cast<std::size_t>(length));
  if (input_.empty()) input_.clear();
  return frame;
}

std::optional<WebSocketMessage> WebSocketParser::next() {
  while (!failure_) {
    auto frame = take_frame();
    if (!frame) {
      input_.fit();  // the rest may be long in coming
      return std::nullopt;
    }
    auto message = frame->opcode >= close ? take_control(std::move(*frame)) : take_data(std::move(*frame));
    if (message) return message;
  }
  return std::nullopt;
}

std::optional<WebSocketMessage> WebSocketParser::take_control(Frame frame) {
  using Kind = WebSocketMessage::Kind;
  if (frame.opcode != close)
    return WebSocketMessage{frame.opcode == ping ? Kind::ping : Kind::pong, std::move(frame.payload), 1005};
  if (frame.payload.empty()) return WebSocketMessage{Kind::close, {}, 1005};
  if (frame.payload.size() == 1) {
    fail(1002, "A close frame has half a code.");
    return std::nullopt;
  }
  const int code =
      static_cast<unsigned char>(frame.payload[0]) << 8 | static_cast<unsigned char>(frame.payload[1]);
  std::string reason = frame.payload.substr(2);
  if (!is_close_code(code)) {
    fail(1002, "The close code is not allowed.");
  } else if (!is_utf8(reason)) {
    fail(1007, "The close reason is not UTF-8.");
  }
  if (failure_) return std::nullopt;
  return WebSocketMessage{Kind::close, std::move(reason), code};
}

std::optional<WebSocketMessage> WebSocketParser::take_data(Frame frame) {
  if (frame.opcode != continuation) {
    message_is_text_ = frame.opcode == text;
    fragments_ = 0;
  }
  in_message_ = !frame.final;
  message_ += frame.payload;
  if (!frame.final) return std::nullopt;
  std::string payload = std::exchange(message_, {});
  if (message_is_text_ && !is_utf8(payload)) {
    fail(1007, "A text message is not UTF-8.");
    return std::nullopt;
  }
  using Kind = WebSocketMessage::Kind;
  return WebSocketMessage{message_is_text_ ? Kind::text : Kind::binary, std::move(payload), 1005};
}

}  // namespace belfry::net
