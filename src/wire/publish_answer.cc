#include "wire/publish_answer.h"

#include <fmt/format.h>

namespace belfry::wire {

std::string publish_answer(std::span<const PublishedEvent> events, bool replayed) {
  std::string out = "{\"events\":[";
  for (const auto& event : events) {
    if (out.back() == '}') out += ',';
    out += '{';
    if (!event.id.empty()) out += fmt::format("\"id\":\"{}\",\"seq\":{},", event.id, event.seq);
    if (event.scheduled != 0) out += fmt::format("\"scheduled\":\"{}\",", event.scheduled);
    out += "\"topic\":";
    append_json_string(out, event.topic);
    out += '}';
  }
  out += replayed ? "],\"replayed\":true}" : "]}";
  return out;
}

}  // namespace belfry::wire
