#pragma once
// An error as a value: a code of the closed catalogue, and what is particular to this case.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error_codes.h"

namespace belfry {

enum class Retry { never, token, later };

// The catalogue's row of one code. `http` is the status of an HTTP answer, `close` the WebSocket close code
// (RFC 6455 section 7.4; 4000 to 4999 are ours).
struct CodeInfo {
  Code code;
  std::string_view name;
  int http;
  int close;
  Retry retry;
  std::string_view message;
  std::string_view hint;
};

const CodeInfo& info(Code code);
const std::vector<CodeInfo>& all_codes();
std::string_view name_of(Retry retry);

// `detail` replaces the catalogue's message where the case can say it better; `field` names the offending
// part of the input ("events[3].topic"); both may be empty.
struct Error {
  Code code = Code::internal;
  std::string detail;
  std::string field;
  std::uint32_t retry_ms = 0;  // when to come back; 0: nothing is said

  std::string_view message() const {
    return detail.empty() ? info(code).message : std::string_view(detail);
  }
  std::string_view hint() const { return info(code).hint; }
  // "code: message (field)", for log lines and terminals.
  std::string text() const;
};

}  // namespace belfry
