#pragma once
// A keyed hash for every map whose keys come from outside, so that nobody can send colliding keys.

#include <cstdint>
#include <string>
#include <string_view>

namespace belfry {

// SipHash-1-3 (Aumasson and Bernstein, 2012, with reduced rounds as in Rust's and Python's dictionaries).
std::uint64_t siphash13(std::string_view text, std::uint64_t key0, std::uint64_t key1);

// Keyed once per process with random bits. Any thread.
std::uint64_t keyed_hash(std::string_view text);

// For unordered containers with string keys; allows look-up by string_view.
struct KeyedHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return keyed_hash(text); }
  std::size_t operator()(const std::string& text) const { return keyed_hash(text); }
};

}  // namespace belfry
