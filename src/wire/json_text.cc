#include "wire/json_text.h"

namespace belfry::wire {

void append_minified(std::string& out, std::string_view valid_json) {
  bool in_string = false;
  std::size_t kept = 0;  // start of what is not copied yet
  for (std::size_t i = 0; i < valid_json.size(); ++i) {
    const char c = valid_json[i];
    if (c == '"') {
      in_string = !in_string;
    } else if (c == '\\') {
      ++i;  // it stands in a string; the next is no end of it
    } else if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      out += valid_json.substr(kept, i - kept);
      kept = i + 1;
    }
  }
  out += valid_json.substr(kept);
}

}  // namespace belfry::wire
