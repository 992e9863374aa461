#pragma once
// How bugs stop the process: CHECK is always on and never reachable by input.

#include <cstdio>
#include <cstdlib>

namespace belfry {

[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace belfry

#define CHECK(expression)                                                       \
  do {                                                                          \
    if (!(expression)) ::belfry::check_failed(#expression, __FILE__, __LINE__); \
  } while (false)
