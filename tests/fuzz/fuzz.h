#pragma once
// What the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput; with clang it is linked
// with libFuzzer (./dev fuzz TARGET), otherwise with a loop over its corpus (ctest). A property that does
// not hold stops the process.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace belfry::fuzz {

// Bytes that choose what is done, and texts cut out of what is left.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::size_t below(std::size_t bound) { return byte() % bound; }
  // Up to the next line feed.
  std::string_view line() {
    const auto end = rest_.find('\n');
    const auto out = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    return out;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace belfry::fuzz
