// HTTP/2 frames through our callbacks, after the preface. Two bytes before each frame of the input say its
// length, so that the fuzzer need not guess it.
#include "connection_harness.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  belfry::fuzz::Input input(data, size);
  const std::size_t step = 1 + input.byte() * 37u;
  std::string bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  bytes += std::string("\0\0\0\4\0\0\0\0\0", 9);
  std::string_view rest = input.rest();
  while (rest.size() > 7) {
    // type, flags, stream, length, payload
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(rest[at]); };
    const std::size_t wanted = static_cast<std::size_t>(byte(3)) << 8 | byte(4);
    const std::size_t length = std::min(wanted, rest.size() - 5);
    bytes += {'\0',
              static_cast<char>(length >> 8),
              static_cast<char>(length & 0xff),
              rest[0],
              rest[1],
              '\0',
              '\0',
              '\0',
              rest[2]};
    bytes += rest.substr(5, length);
    rest.remove_prefix(5 + length);
  }
  bytes += rest;  // and what is no frame
  belfry::fuzz::talk(bytes, step);
  return 0;
}
