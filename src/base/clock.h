#pragma once
// Time enters by argument. Two kinds that do not mix: Instant (monotonic, for durations) and Timestamp
// (UTC, for people and for expiry that comes from outside). SystemClock is the only caller of the system's
// clocks.

#include <atomic>
#include <chrono>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace belfry {

using Duration = std::chrono::milliseconds;

struct Instant {
  Duration value{0};
  auto operator<=>(const Instant&) const = default;
  friend Instant operator+(Instant a, Duration d) { return {a.value + d}; }
  friend Duration operator-(Instant a, Instant b) { return a.value - b.value; }
  static constexpr Instant never() { return {Duration::max()}; }
};

struct Timestamp {
  Duration value{0};  // since 1970-01-01T00:00:00Z
  auto operator<=>(const Timestamp&) const = default;
  friend Timestamp operator+(Timestamp a, Duration d) { return {a.value + d}; }
  friend Duration operator-(Timestamp a, Timestamp b) { return a.value - b.value; }
};

// RFC 3339 in UTC with milliseconds: 2026-11-21T04:00:00.000Z.
std::string format_rfc3339(Timestamp time);
// RFC 3339 with any offset, fraction optional; nothing if malformed.
std::optional<Timestamp> parse_rfc3339(std::string_view text);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual Timestamp wall() const = 0;
};

// Any thread.
class SystemClock final : public Clock {
 public:
  Instant now() const override;
  Timestamp wall() const override;
};

// For tests and the simulator: time stands still until it is moved. Any thread.
class ManualClock final : public Clock {
 public:
  Instant now() const override { return {Duration{elapsed_.load()}}; }
  Timestamp wall() const override { return {Duration{1'790'000'000'000 + elapsed_.load() + set_.load()}}; }
  void advance(Duration by) { elapsed_ += by.count(); }
  // The wall clock is set forward, or back.
  void set_wall(Duration by) { set_ += by.count(); }

 private:
  std::atomic<Duration::rep> elapsed_{0}, set_{0};
};

}  // namespace belfry
