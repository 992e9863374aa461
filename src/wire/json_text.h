#pragma once
// JSON text that is already known to be valid.

#include <string>
#include <string_view>

namespace belfry::wire {

// Appends valid JSON without the white space between its tokens; otherwise exactly as it is.
void append_minified(std::string& out, std::string_view valid_json);

}  // namespace belfry::wire
