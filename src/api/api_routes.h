#pragma once
// A row of the table of routes. Private to api.

#include "api/api.h"

namespace belfry {

struct Api::Route {
  std::string_view method;  // GET answers HEAD too, every path answers OPTIONS
  std::string_view path;
  void (Api::*function)(net::Exchange& exchange);
};

// What an idempotency key is remembered with: the first half of the body's SHA-256.
BodyHash body_hash(std::string_view body);

}  // namespace belfry
