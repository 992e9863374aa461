#pragma once
// Writing JSON text, and taking apart JSON text that is already known to be valid.

#include <string>
#include <string_view>

namespace belfry::wire {

// Appends a JSON string: quotes, and escapes for '"', '\', control characters and DEL. REQUIRES: UTF-8.
void append_json_string(std::string& out, std::string_view text);

// Appends valid JSON without the white space between its tokens; otherwise exactly as it is.
void append_minified(std::string& out, std::string_view valid_json);

}  // namespace belfry::wire
