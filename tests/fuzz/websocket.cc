// WebSocket frames: however the bytes are cut, the messages are the same.
#include "net/websocket.h"
#include "fuzz.h"

using namespace belfry;

namespace {

std::string story(std::string_view bytes, std::size_t step) {
  net::WebSocketParser parser;
  std::string out;
  while (!bytes.empty() && !parser.failure()) {
    parser.feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    while (const auto message = parser.next()) {
      CHECK(message->payload.size() <= limits::websocket_message_bytes_max);
      using Kind = net::WebSocketMessage::Kind;
      CHECK(message->kind != Kind::text || is_utf8(message->payload));
      out += static_cast<char>('0' + static_cast<int>(message->kind)) + message->payload + '\n';
    }
  }
  if (parser.failure()) out += "failed " + std::to_string(parser.failure()->close_code);
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t step = 1 + input.byte();
  CHECK(story(input.rest(), step) == story(input.rest(), input.rest().size() + 1));
  return 0;
}
