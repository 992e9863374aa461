#pragma once
// HTTP/2 as tests write it: frames and requests byte by byte (RFC 9113 section 4.1, RFC 7541 section 6.2.2),
// for what no library would send.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belfry::net::by_hand {

enum FrameType : std::uint8_t {
  data = 0,
  headers = 1,
  reset_stream = 3,
  settings = 4,
  ping = 6,
  window_update = 8,
  continuation = 9
};
inline constexpr std::uint8_t end_stream = 1, end_headers = 4;

inline std::string number(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

inline std::string frame(FrameType type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  std::string out = number(static_cast<std::uint32_t>(payload.size())).substr(1);
  out += {static_cast<char>(type), static_cast<char>(flags)};
  return (out += number(stream)) += payload;
}

// Literals, not indexed, not in Huffman code. REQUIRES: names and values below 127 bytes.
inline std::string block(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    (out += {'\0', static_cast<char>(name.size())}) += name;
    (out += static_cast<char>(value.size())) += value;
  }
  return out;
}

inline std::string get(std::string_view path, std::uint32_t stream = 1) {
  return frame(headers, end_stream | end_headers, stream,
               block({{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "h"}}));
}

// Its body follows.
inline std::string post(std::string_view path, std::uint32_t stream = 1) {
  return frame(headers, end_headers, stream,
               block({{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "h"}}));
}

// RST_STREAM with CANCEL.
inline std::string reset(std::uint32_t stream) { return frame(reset_stream, 0, stream, number(8)); }

// An extended CONNECT for a WebSocket (RFC 8441 section 4).
inline std::string connect_websocket(std::string_view path, std::uint32_t stream = 1) {
  return frame(headers, end_headers, stream,
               block({{":method", "CONNECT"},
                      {":protocol", "websocket"},
                      {":scheme", "http"},
                      {":path", path},
                      {":authority", "h"}}));
}

// The preface, and SETTINGS with this payload.
inline std::string hello(std::string_view payload = {}) {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings, 0, 0, payload);
}
// SETTINGS_INITIAL_WINDOW_SIZE.
inline std::string initial_window(std::uint32_t size) { return std::string("\0\4", 2) + number(size); }

}  // namespace belfry::net::by_hand
