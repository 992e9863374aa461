#pragma once
// The template form: text in which {path} stands for what a record holds there.
//
//   bookings/{after.id}            in a topic, what is put in is one segment: other characters are escaped
//   {topic|path}                   … or several: slashes stay
//   {after.name ?? 'somebody'}     if it is not there, or null
//   {{ and }}                      braces
//
// Without ?? a missing value is an error: the record then goes to the dead letters. Values; any thread.

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/path.h"

namespace belfry::ingest {

class Template {
 public:
  enum class Use { text, topic };

  Template() = default;
  // Code::config_invalid, with the reason.
  static Result<Template> parse(std::string_view text);

  // Code::missing_field or bad_topic; the error's field is the path.
  Result<std::string> render(const boost::json::value& record, Use use = Use::text) const;
  // If it is one placeholder and nothing else: what stands there, with its JSON type; else a string.
  Result<boost::json::value> value(const boost::json::value& record) const;

  bool empty() const { return parts_.empty(); }

 private:
  struct Part {
    std::string text;  // of a literal
    std::optional<Path> path{};
    std::optional<std::string> otherwise{};
    bool segments = false;  // |path
  };
  static Result<Part> placeholder(std::string_view& text);
  static Result<std::string> render(const Part& part, const boost::json::value& record, Use use);

  std::vector<Part> parts_;
};

}  // namespace belfry::ingest
