// What clients say on a WebSocket, and the bodies of the feed's routes.
#include "fuzz.h"
#include "wire/wire.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.below(4)) {
    case 0: {
      const auto message = wire::parse_client_message(input.rest());
      if (message) CHECK(is_utf8(message.value().id) && message.value().id.size() <= 64);
      break;
    }
    case 1: {
      const auto body = wire::parse_mark_body(input.rest());
      if (body) CHECK(body.value().ids.size() <= limits::mark_ids_max);
      break;
    }
    case 2:
      (void)wire::parse_mutes_body(input.rest());
      break;
    case 3:
      (void)wire::parse_ticket_body(input.rest());
      break;
  }
  return 0;
}
