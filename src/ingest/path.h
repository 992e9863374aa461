#pragma once
// A place in a record, as templates and conditions name it: `after.id`, `items.0.price`,
// `headers['content type']`. Words are [A-Za-z0-9_$-]; a word of digits also counts as an index.
//
// Values; any thread.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"

namespace belfry::ingest {

class Path {
 public:
  // Reads a path from the front of `text` and takes it off. Code::config_invalid if none is there.
  static Result<Path> read(std::string_view& text);

  // Nothing if it is not there; JSON's null counts as not there.
  const boost::json::value* in(const boost::json::value& record) const;
  const std::string& text() const { return text_; }

 private:
  std::vector<std::string> words_;
  std::string text_;
};

// Strings as they are, everything else as JSON.
std::string text_of(const boost::json::value& value);

void skip_spaces(std::string_view& text);
// Takes `word` off the front if it is there.
bool take(std::string_view& text, std::string_view word);
// A quoted text: '…', with \' and \\ inside. REQUIRES: it begins with a quote.
Result<std::string> read_quoted(std::string_view& text);

}  // namespace belfry::ingest
