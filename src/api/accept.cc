#include "api/accept.h"

#include <array>
#include <cstdlib>
#include <string>

namespace belfry {
namespace {

struct Range {
  std::string type;
  double quality = 1;
};

// Takes one media range off the front of the list.
Range take_range(std::string_view& list) {
  const auto comma = list.find(',');
  std::string_view item = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  Range range;
  const auto semicolon = item.find(';');
  for (const char c : item.substr(0, semicolon))
    if (c != ' ' && c != '\t') range.type += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const auto quality = semicolon == std::string_view::npos ? semicolon : item.find("q=", semicolon);
  if (quality != std::string_view::npos)
    range.quality = std::atof(std::string(item.substr(quality + 2, 5)).c_str());
  return range;
}

// How specific a range is for a type: 0 none, 1 any, 2 the same main type, 3 exact.
int fit(std::string_view range, std::string_view type) {
  if (range == type) return 3;
  if (range == "*/*") return 1;
  const auto slash = type.find('/');
  return range.size() == slash + 2 && range.ends_with("/*") &&
                 range.substr(0, slash) == type.substr(0, slash)
             ? 2
             : 0;
}

}  // namespace

StreamForm accepted_form(std::string_view accept) {
  constexpr std::array<std::pair<StreamForm, std::string_view>, 5> kTypes{
      {{StreamForm::sse, "text/event-stream"},
       {StreamForm::json_lines, "application/x-ndjson"},
       {StreamForm::poll, "application/json"},
       {StreamForm::cloud_poll, "application/cloudevents-batch+json"},
       {StreamForm::cloud_poll, "application/cloudevents+json"}}};
  if (accept.empty() || accept == "*/*") return StreamForm::poll;
  StreamForm best = StreamForm::none;
  double best_score = 0;
  while (!accept.empty()) {
    const Range range = take_range(accept);
    for (const auto& [form, type] : kTypes) {
      const int specific = fit(range.type, type);
      const double score = specific == 0 || range.quality <= 0 ? 0 : range.quality * 10 + specific;
      if (score <= best_score) continue;
      best_score = score;
      best = form;
    }
  }
  return best;
}

}  // namespace belfry
