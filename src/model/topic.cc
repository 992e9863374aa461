#include "model/topic.h"

#include <algorithm>
#include <array>

namespace belfry {
namespace {

constexpr std::array<std::string_view, 7> kReserved{"open",      "error",   "reset", "heartbeat",
                                                    "connected", "control", "close"};

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_topic_character(char c) {
  return is_alphanumeric(c) || c == '.' || c == '_' || c == '~' || c == '@' || c == ':' || c == '%' ||
         c == '-';
}

bool is_type_character(char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; }

enum class Wildcards { refused, allowed };

// The reason why a segment is not well formed, or nothing.
std::string_view segment_fault(std::string_view segment, bool last, Wildcards wildcards) {
  if (segment.empty()) return "A segment is empty.";
  if (segment == "+" || segment == "#") {
    if (wildcards == Wildcards::refused) return "Wildcards are not allowed here.";
    return segment == "#" && !last ? "'#' must be the last segment." : "";
  }
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (!is_topic_character(segment[i])) return "A character is not allowed; percent-encode it.";
    if (segment[i] != '%') continue;
    if (i + 2 >= segment.size() || !is_hex(segment[i + 1]) || !is_hex(segment[i + 2]))
      return "'%' must be followed by two hexadecimal digits.";
  }
  return "";
}

Result<void> check_name(std::string_view name, Wildcards wildcards, Code code) {
  if (name.empty()) return fail(code, "It is empty.");
  if (name.size() > limits::topic_bytes_max) return fail(code, "It is longer than 255 bytes.");
  std::size_t segments = 0;
  for (std::size_t at = 0;; ++segments) {
    const auto end = name.find('/', at);
    const bool last = end == std::string_view::npos;
    if (segments == limits::topic_segments_max) return fail(code, "It has more than 8 segments.");
    const auto fault = segment_fault(name.substr(at, last ? end : end - at), last, wildcards);
    if (!fault.empty()) return fail(code, std::string(fault));
    if (last) return {};
    at = end + 1;
  }
}

// Takes the first segment off `rest`; `more` says whether another one follows.
std::string_view take_segment(std::string_view& rest, char separator, bool& more) {
  const auto at = rest.find(separator);
  const auto segment = rest.substr(0, at);
  more = at != std::string_view::npos;
  rest = more ? rest.substr(at + 1) : std::string_view{};
  return segment;
}

}  // namespace

Result<void> check_topic(std::string_view topic) {
  return check_name(topic, Wildcards::refused, Code::bad_topic);
}

Result<void> check_pattern(std::string_view pattern) {
  return check_name(pattern, Wildcards::allowed, Code::bad_pattern);
}

bool is_reserved_type(std::string_view type) {
  if (type.starts_with("belfry.")) return true;
  return std::find(kReserved.begin(), kReserved.end(), type) != kReserved.end();
}

Result<void> check_type(std::string_view type) {
  if (type.empty()) return fail(Code::bad_type, "It is empty.");
  if (type.size() > limits::type_bytes_max) return fail(Code::bad_type, "It is longer than 64 bytes.");
  if (!std::all_of(type.begin(), type.end(), is_type_character))
    return fail(Code::bad_type, "A character is not allowed.");
  if (is_reserved_type(type)) return fail(Code::bad_type, "This name is reserved.");
  return {};
}

Result<void> check_type_pattern(std::string_view pattern) {
  if (pattern.empty()) return fail(Code::bad_type, "It is empty.");
  if (pattern.size() > limits::type_bytes_max) return fail(Code::bad_type, "It is longer than 64 bytes.");
  std::string_view rest = pattern;
  for (bool more = true; more;) {
    const auto segment = take_segment(rest, '.', more);
    if (segment == "#" && more) return fail(Code::bad_type, "'#' must be the last segment.");
    if (segment == "#" || segment == "+") continue;
    if (!std::all_of(segment.begin(), segment.end(), is_type_character))
      return fail(Code::bad_type, "A character is not allowed.");
  }
  return {};
}

bool has_wildcard(std::string_view pattern) {
  return pattern.find_first_of("+#") != std::string_view::npos;
}

bool matches(std::string_view pattern, std::string_view name, char separator) {
  bool more_pattern = true, more_name = true;
  while (more_pattern) {
    const auto wanted = take_segment(pattern, separator, more_pattern);
    if (wanted == "#") return true;
    if (!more_name) return false;
    const auto segment = take_segment(name, separator, more_name);
    if (wanted != "+" && wanted != segment) return false;
  }
  return !more_name;
}

bool covers(std::string_view outer, std::string_view inner, char separator) {
  // '#' alone stands for one segment at least, so "+/#" matches all that it matches.
  if (inner == "#" && outer.size() == 3 && outer[0] == '+' && outer[2] == '#') return outer[1] == separator;
  bool more_outer = true, more_inner = true;
  while (more_outer) {
    const auto wanted = take_segment(outer, separator, more_outer);
    if (wanted == "#") return true;
    if (!more_inner) return false;
    const auto given = take_segment(inner, separator, more_inner);
    if (given == "#") return false;
    if (wanted != "+" && wanted != given) return false;
  }
  return !more_inner;
}

std::string encode_segment(std::string_view text) { return percent_encode(text, "._~@:-"); }

std::string user_topic(std::string_view user) { return "users/" + encode_segment(user); }

bool Selector::accepts_type(std::string_view type) const {
  return types.empty() || std::any_of(types.begin(), types.end(), [type](const std::string& pattern) {
           return matches(pattern, type, '.');
         });
}

Result<Selector> make_selector(std::string topic, std::vector<std::string> types) {
  if (auto checked = check_pattern(topic); !checked) {
    Error error = std::move(checked).error();
    error.field = "topic";
    return error;
  }
  for (const auto& type : types) {
    if (auto checked = check_type_pattern(type); !checked) {
      Error error = std::move(checked).error();
      error.field = "type";
      return error;
    }
  }
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return Selector{std::move(topic), std::move(types)};
}

}  // namespace belfry
