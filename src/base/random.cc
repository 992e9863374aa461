#include "base/random.h"

#include <sys/random.h>

#include <cstring>

#include "base/check.h"

namespace belfry {

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    ssize_t got = getrandom(out.data() + have, count - have, 0);
    CHECK(got > 0);
    have += static_cast<std::size_t>(got);
  }
  return out;
}

std::uint64_t random_u64() {
  std::uint64_t value;
  std::memcpy(&value, random_bytes(sizeof value).data(), sizeof value);
  return value;
}

}  // namespace belfry
