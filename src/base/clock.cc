#include "base/clock.h"

#include <fmt/format.h>

#include <cctype>

namespace belfry {
namespace {

using std::chrono::duration_cast;

// `count` digits at `at`, or nothing.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<Duration> parse_zone(std::string_view zone) {
  if (zone == "Z" || zone == "z") return Duration{0};
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  auto hour = digits(zone, 1, 2), minute = digits(zone, 4, 2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  Duration offset = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  return zone[0] == '+' ? offset : -offset;
}

}  // namespace

std::string format_rfc3339(Timestamp time) {
  auto days = std::chrono::floor<std::chrono::days>(time.value);
  std::chrono::year_month_day date{std::chrono::sys_days{days}};
  auto ms = (time.value - days).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), ms / 3'600'000,
                     ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
  auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year{*year},
                                   std::chrono::month{static_cast<unsigned>(*month)},
                                   std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::size_t at = 19;
  int ms = 0;
  if (at < text.size() && text[at] == '.') {
    int scale = 100;
    std::size_t from = ++at;
    for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])); ++at, scale /= 10)
      ms += (text[at] - '0') * scale;
    if (at == from) return std::nullopt;
  }
  auto zone = parse_zone(text.substr(at));
  if (!zone) return std::nullopt;
  auto days = duration_cast<Duration>(std::chrono::sys_days{date}.time_since_epoch());
  return Timestamp{days + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
                   std::chrono::seconds(*second) + Duration{ms} - *zone};
}

Instant SystemClock::now() const {
  return {duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

Timestamp SystemClock::wall() const {
  return {duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace belfry
