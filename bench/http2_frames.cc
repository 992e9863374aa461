#include "http2_frames.h"

#include <cstdint>

namespace belfry::bench {
namespace {

enum : std::uint8_t { kData = 0, kHeaders = 1, kSettings = 4, kPing = 6, kWindowUpdate = 8 };
constexpr std::size_t kHead = 9;
constexpr std::uint32_t kWindow = 0x7fffffff;
constexpr std::uint8_t kAck = 1, kEndHeaders = 4, kEndStream = 1;

std::string number(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const std::string& payload) {
  return number(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + number(stream, 4) + payload;
}

// RFC 7541 section 5.2, not Huffman coded.
std::string text(const std::string& value) {
  std::string out;
  std::size_t size = value.size();
  if (size < 127) return static_cast<char>(size) + value;
  out += static_cast<char>(127);
  for (size -= 127; size >= 128; size /= 128) out += static_cast<char>(size % 128 + 128);
  return out + static_cast<char>(size) + value;
}

}  // namespace

std::string http2_get(const std::string& path, const HeaderFields& fields) {
  std::string block = "\x82\x86";  // :method GET, :scheme http
  block += '\x04' + text(path);
  block += '\x01' + text("127.0.0.1");
  for (const auto& [name, value] : fields) block += '\0' + text(name) + text(value);
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, number(4, 2) + number(kWindow, 4)) +
         frame(kWindowUpdate, 0, 0, number(kWindow - 65535, 4)) +
         frame(kHeaders, kEndHeaders | kEndStream, 1, block);
}

void Http2Frames::take(std::string_view& bytes) const {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  while (bytes.size() >= kHead) {
    const std::size_t size = std::size_t{at(0)} << 16 | std::size_t{at(1)} << 8 | at(2);
    if (bytes.size() < kHead + size) return;
    const std::uint8_t type = at(3), flags = at(4);
    const std::string_view payload = bytes.substr(kHead, size);
    if (type == kHeaders) on_headers();
    if (type == kData) on_data(payload);
    if (type == kSettings && (flags & kAck) == 0) answer(frame(kSettings, kAck, 0, ""));
    if (type == kPing && (flags & kAck) == 0) answer(frame(kPing, kAck, 0, std::string(payload)));
    bytes.remove_prefix(kHead + size);
  }
}

}  // namespace belfry::bench
