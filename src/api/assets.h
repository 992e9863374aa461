#pragma once
// The files under /sdk: what the web workspace was built to, part of the binary. Empty where the build had
// no Node. Made by tools/embed.py. Any thread.

#include <span>
#include <string_view>

namespace belfry {

struct Asset {
  std::string_view name;  // without a folder; one with a hash in it never changes
  std::string_view type;  // of its content
  std::string_view body;  // as it is
  std::string_view gzip;  // compressed; empty: it would not be smaller
  std::string_view tag;   // of its content, for ETag
};

// By name.
std::span<const Asset> assets();

}  // namespace belfry
