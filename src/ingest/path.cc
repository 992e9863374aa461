#include "ingest/path.h"

#include <charconv>

#include "ingest/read_json.h"

namespace belfry::ingest {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || c == '-';
}

}  // namespace

void skip_spaces(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\n'))
    text.remove_prefix(1);
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

Result<std::string> read_quoted(std::string_view& text) {
  std::string out;
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '\''; ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    out += text[at];
  }
  if (at >= text.size()) return fail(Code::config_invalid, "A quote (') is not closed.");
  text.remove_prefix(at + 1);
  return out;
}

Result<Path> Path::read(std::string_view& text) {
  Path path;
  const std::string_view whole = text;
  while (true) {
    if (take(text, "[")) {
      if (!text.starts_with('\'')) return fail(Code::config_invalid, "After [ comes a name in quotes (').");
      path.words_.push_back(TRY(read_quoted(text)));
      if (!take(text, "]")) return fail(Code::config_invalid, "A bracket ([) is not closed.");
    } else {
      std::size_t length = 0;
      while (length < text.size() && is_word(text[length])) ++length;
      if (length == 0) return fail(Code::config_invalid, "A name such as after.id is expected.");
      path.words_.emplace_back(text.substr(0, length));
      text.remove_prefix(length);
    }
    if (text.starts_with('[')) continue;
    if (!take(text, ".")) break;
  }
  path.text_ = std::string(whole.substr(0, whole.size() - text.size()));
  return path;
}

const boost::json::value* Path::in(const boost::json::value& record) const {
  const boost::json::value* at = &record;
  for (const std::string& word : words_) {
    if (const auto* object = at->if_object()) {
      at = object->if_contains(word);
    } else if (const auto* array = at->if_array()) {
      std::size_t index = 0;
      const auto parsed = std::from_chars(word.data(), word.data() + word.size(), index);
      const bool good = parsed.ec == std::errc{} && parsed.ptr == word.data() + word.size();
      at = good && index < array->size() ? &(*array)[index] : nullptr;
    } else {
      at = nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at->is_null() ? nullptr : at;
}

std::string text_of(const boost::json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  return write_json(value);
}

}  // namespace belfry::ingest
