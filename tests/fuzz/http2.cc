// HTTP/2 frames through our callbacks, after the preface.
#include "connection_harness.h"
#include "net/http2_by_hand.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  belfry::fuzz::Input input(data, size);
  const std::size_t step = 1 + input.byte() * 37u;
  belfry::fuzz::talk(belfry::net::by_hand::hello() + belfry::fuzz::http2_frames(input.rest()), step);
  return 0;
}
