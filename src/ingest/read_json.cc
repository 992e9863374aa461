#include "ingest/read_json.h"

#include <boost/json/parse.hpp>
#include <charconv>
#include <utility>

namespace belfry::ingest {
namespace json = boost::json;

namespace {

template <class Number>
void append_number(std::string& out, Number number) {
  char text[32];
  const auto done = std::to_chars(text, text + sizeof text, number);
  out.append(text, done.ptr);
}

void append(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      append_number(out, value.get_int64());
      break;
    case json::kind::uint64:
      append_number(out, value.get_uint64());
      break;
    case json::kind::double_:
      append_number(out, value.get_double());
      break;
    case json::kind::string:
      append_json_string(out, std::string_view(value.get_string()));
      break;
    case json::kind::array: {
      char before = '[';
      for (const auto& item : value.get_array()) {
        out += std::exchange(before, ',');
        append(out, item);
      }
      out += value.get_array().empty() ? "[]" : "]";
      break;
    }
    case json::kind::object: {
      char before = '{';
      for (const auto& member : value.get_object()) {
        out += std::exchange(before, ',');
        append_json_string(out, std::string_view(member.key()));
        out += ':';
        append(out, member.value());
      }
      out += value.get_object().empty() ? "{}" : "}";
    }
  }
}

}  // namespace

const json::value* member(const json::value& value, std::string_view name) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

std::string member_text(const json::value& value, std::string_view name) {
  const auto* found = member(value, name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::string write_json(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

Result<boost::json::value> read_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = limits::json_depth_max;
  boost::system::error_code failed;
  auto value = boost::json::parse(text, failed, {}, options);
  if (!failed) return value;
  if (failed == boost::json::error::too_deep) return fail(Code::too_deep);
  if (!is_utf8(text)) return fail(Code::bad_utf8);
  return fail(Code::bad_json, failed.message());
}

}  // namespace belfry::ingest
