#pragma once
// Where an MQTT broker is. Any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/base.h"

namespace belfry::ingest {

struct BrokerAddress {
  std::string host;
  std::uint16_t port = 1883;
  bool tls = false;
};

// mqtt://host[:1883] or mqtts://host[:8883], nothing else in it. Code::config_invalid, field "url".
Result<BrokerAddress> broker_address(std::string_view url);

}  // namespace belfry::ingest
