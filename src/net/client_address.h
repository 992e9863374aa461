#pragma once
// Who the client is when a proxy stands in front: the PROXY protocol, X-Forwarded-For, Forwarded. Each is
// believed only from addresses that the configuration trusts.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"
#include "net/exchange.h"

namespace belfry::net {

// IP networks, such as 10.0.0.0/8, 192.0.2.7 or fd00::/8. IPv4 addresses written as IPv6 (::ffff:…) count
// as IPv4.
class Networks {
 public:
  // Code::config_invalid with the text that is none.
  static Result<Networks> parse(const std::vector<std::string>& texts);
  bool contains(std::string_view address) const;
  bool empty() const { return networks_.empty(); }

 private:
  struct Network {
    std::string bytes;  // 4 or 16
    unsigned prefix = 0;
  };
  std::vector<Network> networks_;
};

// The header of the PROXY protocol, version 1 or 2 (haproxy.org, proxy-protocol.txt, 2020).
struct ProxyHeader {
  std::size_t size = 0;  // bytes before the client's own
  std::string address;   // empty: the proxy's own connection, or of another family
};
// Nothing: more bytes are needed, at most limits::proxy_header_bytes_max. bad_request: it is no such
// header.
Result<std::optional<ProxyHeader>> parse_proxy_header(std::string_view bytes);

enum class ForwardedHeader { x_forwarded_for, forwarded };

// Whom the request is from: the last address of the header that is not itself a trusted proxy; the peer
// where it is not trusted, or the header says nothing that can be read.
std::string client_address(const Request& request, const Networks& trusted, ForwardedHeader header);

}  // namespace belfry::net
