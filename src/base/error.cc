#include "base/error.h"

namespace belfry {

const std::vector<CodeInfo>& all_codes() {
  static const std::vector<CodeInfo> table = {
#define BELFRY_CODE_ROW(name, http, close, retry, message, hint) \
  {Code::name, #name, http, close, Retry::retry, message, hint},
      BELFRY_CODES(BELFRY_CODE_ROW)
#undef BELFRY_CODE_ROW
  };
  return table;
}

const CodeInfo& info(Code code) { return all_codes()[static_cast<std::size_t>(code)]; }

std::string_view name_of(Retry retry) {
  switch (retry) {
    case Retry::never:
      return "never";
    case Retry::token:
      return "token";
    case Retry::later:
      return "later";
  }
  return "never";
}

std::string Error::text() const {
  std::string out{info(code).name};
  out += ": ";
  out += message();
  if (!field.empty()) out += " (" + field + ")";
  return out;
}

}  // namespace belfry
