#pragma once
// Writing JSON text.

#include <string>
#include <string_view>

namespace belfry::wire {

// Appends a JSON string: quotes, escapes for '"', '\' and C0 controls, U+2028 and U+2029 and DEL. REQUIRES: UTF-8.
void append_json_string(std::string& out, std::string_view text);

}  // namespace belfry::wire
