#pragma once
// Content negotiation (RFC 9110 section 12.5.1) among the few types that a stream can have.

#include <string_view>

namespace belfry {

enum class StreamForm { sse, json_lines, poll, cloud_poll, none };

// The form with the highest q; with equal q the more specific range, then the order sse, json_lines, poll.
// An absent header accepts a poll, because that is what a plain HTTP client can use.
StreamForm accepted_form(std::string_view accept);

}  // namespace belfry
