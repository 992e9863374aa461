#pragma once
// Latencies in buckets that are 1/32 of a power of two wide: quantiles within 3 %, constant memory.

#include <array>
#include <bit>
#include <cstdint>

namespace belfry::bench {

class Histogram {
 public:
  void add(double seconds) {
    const auto us = static_cast<std::uint64_t>(seconds > 0 ? seconds * 1e6 : 0);
    ++buckets_[bucket_of(us)];
    ++count_;
  }
  std::uint64_t count() const { return count_; }
  void clear() { *this = {}; }
  // Milliseconds, at the upper end of its bucket.
  double quantile_ms(double q) const {
    auto rest = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i] > rest) return static_cast<double>(end_of(i)) / 1e3;
      rest -= buckets_[i];
    }
    return 0;
  }

 private:
  static constexpr std::uint64_t kPart = 32;
  static std::size_t bucket_of(std::uint64_t us) {
    if (us < kPart) return static_cast<std::size_t>(us);
    const auto shift = static_cast<int>(std::bit_width(us)) - 6;  // leaves 32 to 63
    const auto at = static_cast<std::size_t>(kPart * static_cast<std::uint64_t>(shift) + (us >> shift));
    return at < kBuckets ? at : kBuckets - 1;
  }
  static std::uint64_t end_of(std::size_t bucket) {
    if (bucket < kPart * 2) return bucket;
    const std::uint64_t shift = bucket / kPart - 1;
    return (bucket - kPart * shift + 1) << shift;
  }
  static constexpr std::size_t kBuckets = 32 * 32;
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace belfry::bench
