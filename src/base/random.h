#pragma once
// Random bits from the operating system. Rooms that must be repeatable get their randomness as an argument.

#include <cstddef>
#include <cstdint>
#include <string>

namespace belfry {

std::uint64_t random_u64();
// `count` random bytes; stops the process if the system cannot give them.
std::string random_bytes(std::size_t count);

}  // namespace belfry
