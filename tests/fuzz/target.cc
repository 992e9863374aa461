// Request targets, cookies, Accept, Forwarded and PROXY headers.
#include "api/accept.h"
#include "api/ticket.h"
#include "fuzz.h"
#include "net/client_address.h"
#include "net/http_parser.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = input.below(5);
  if (kind == 0) {
    net::Request request;
    if (net::parse_target(input.rest(), request)) {
      CHECK(request.path.starts_with('/') && is_utf8(request.path));
      for (const auto& [name, value] : request.query) CHECK(is_utf8(name) && is_utf8(value));
    }
  } else if (kind == 1) {
    const auto name = input.line();
    const auto value = cookie_in(input.rest(), name);
    CHECK(value.empty() || input.rest().find(value) != std::string_view::npos);
  } else if (kind == 2) {
    accepted_form(input.rest());
  } else if (kind == 3) {
    static const net::Networks trusted = net::Networks::parse({"10.0.0.0/8", "fd00::/8"}).value();
    net::Request request;
    request.peer = "10.0.0.1";
    while (!input.empty()) request.headers.emplace_back("x-forwarded-for", input.line());
    const std::string address =
        net::client_address(request, trusted, net::ForwardedHeader::x_forwarded_for);
    CHECK(net::Networks::parse({address}));
    for (auto& header : request.headers) header.first = "forwarded";
    CHECK(net::Networks::parse({net::client_address(request, trusted, net::ForwardedHeader::forwarded)}));
  } else {
    const auto header = net::parse_proxy_header(input.rest());
    if (header && header.value()) {
      CHECK(header.value()->size <= input.rest().size());
      CHECK(header.value()->address.empty() || net::Networks::parse({header.value()->address}));
    } else if (header) {
      CHECK(input.rest().size() < limits::proxy_header_bytes_max);
    }
  }
  return 0;
}
