#include "wire/json_text.h"

namespace belfry::wire {

void append_minified(std::string& out, std::string_view valid_json) {
  bool in_string = false;
  for (std::size_t i = 0; i < valid_json.size(); ++i) {
    const char c = valid_json[i];
    if (in_string) {
      out += c;
      if (c == '\\') {
        out += valid_json[++i];
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      out += c;
      in_string = c == '"';
    }
  }
}

}  // namespace belfry::wire
