// GET /sdk/{file}: the SDK for pages that have no build of their own. Open to every origin, because a
// module script is fetched with CORS.

#include <algorithm>

#include "api/api_routes.h"
#include "api/assets.h"

namespace belfry {
namespace {

const Asset* find_asset(std::string_view name) {
  const auto all = assets();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Asset& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// name-<ten hexadecimal digits>.ext, as web/build.mjs names them.
bool has_hash(std::string_view name) {
  constexpr std::size_t kDigits = 10;
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot < kDigits + 1 || name[dot - kDigits - 1] != '-') return false;
  const auto digits = name.substr(dot - kDigits, kDigits);
  return digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool takes_gzip(const net::Request& request) {
  return request.header("accept-encoding").value_or("").find("gzip") != std::string_view::npos;
}

}  // namespace

void Api::get_sdk(net::Exchange& exchange, const Arguments& arguments) {
  const net::Request& request = exchange.request();
  const Asset* asset = find_asset(arguments[0]);
  if (asset == nullptr) {
    const bool none = assets().empty();
    return refuse(exchange, fail(Code::not_found, none ? "This binary was built without the SDK." : ""));
  }
  const std::string tag = '"' + std::string(asset->tag) + '"';
  net::Response response{200,
                         {{"Content-Type", std::string(asset->type)},
                          {"Access-Control-Allow-Origin", "*"},
                          {"Cross-Origin-Resource-Policy", "cross-origin"},
                          {"X-Content-Type-Options", "nosniff"},
                          {"Vary", "Accept-Encoding"},
                          {"ETag", tag},
                          {"Cache-Control", has_hash(asset->name) ? "public, max-age=31536000, immutable"
                                                                  : "public, no-cache"}},
                         {}};
  if (request.header("if-none-match").value_or("") == tag) {
    response.status = 304;
  } else if (!asset->gzip.empty() && takes_gzip(request)) {
    response.headers.emplace_back("Content-Encoding", "gzip");
    response.body = asset->gzip;
  } else {
    response.body = asset->body;
  }
  exchange.respond(std::move(response));
}

}  // namespace belfry
