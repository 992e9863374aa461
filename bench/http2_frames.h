#pragma once
// As much of HTTP/2 (RFC 9113) as a client needs that opens one stream on a connection and reads it: prior
// knowledge, no TLS, header fields that are never indexed (RFC 7541 section 6.2.2).

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belfry::bench {

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

// Preface, settings with windows that never fill, and a GET on stream 1.
std::string http2_get(const std::string& path, const HeaderFields& fields);

// Takes whole frames off `bytes`; what is left of it is the beginning of one.
struct Http2Frames {
  std::function<void()> on_headers;
  std::function<void(std::string_view)> on_data;
  std::function<void(const std::string&)> answer;  // bytes to be sent
  void take(std::string_view& bytes) const;
};

}  // namespace belfry::bench
