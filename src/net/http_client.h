#pragma once
// A small blocking HTTP/1.1 client, over TLS or not, for the command line and the tests. Not for the
// server's threads.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/exchange.h"

namespace belfry::net {

struct ClientRequest {
  std::string url;      // http or https://host[:port]/path?query
  std::string ca_file;  // https: certificates (PEM) to trust beside the system's; empty: none
  std::string method = "GET";
  std::vector<Field> headers;
  std::string body;
  Duration timeout{std::chrono::seconds(30)};  // for connecting, and between bytes
};

// Code::connection_failed with the reason when no whole answer came.
Result<Response> fetch(const ClientRequest& request);

// Gives the head first, then each piece of body as it arrives, until the answer ends or `on_bytes` returns
// false.
struct StreamSink {
  std::function<void(const Response& head)> on_head;
  std::function<bool(std::string_view bytes)> on_bytes;
};
Result<void> fetch_stream(const ClientRequest& request, const StreamSink& sink);

}  // namespace belfry::net
