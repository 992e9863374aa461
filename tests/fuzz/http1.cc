// HTTP/1.1 heads, chunked bodies and WebSocket bytes on a connection, whole and in pieces.
#include "connection_harness.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  belfry::fuzz::Input input(data, size);
  const std::size_t step = 1 + input.byte() * 37u;
  belfry::fuzz::talk(input.rest(), step);
  return 0;
}
