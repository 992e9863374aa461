#include "ingest/template.h"

#include "model/model.h"

namespace belfry::ingest {
namespace {

// Each segment escaped by itself.
std::string encode_segments(std::string_view text) {
  std::string out;
  while (true) {
    const auto slash = text.find('/');
    out += encode_segment(text.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    out += '/';
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<Template::Part> Template::placeholder(std::string_view& text) {
  Part part;
  skip_spaces(text);
  part.path = TRY(Path::read(text));
  skip_spaces(text);
  if (take(text, "|")) {
    skip_spaces(text);
    if (!take(text, "path")) return fail(Code::config_invalid, "After | comes path.");
    part.segments = true;
    skip_spaces(text);
  }
  if (take(text, "??")) {
    skip_spaces(text);
    if (!text.starts_with('\'')) return fail(Code::config_invalid, "After ?? comes a text in quotes (').");
    part.otherwise = TRY(read_quoted(text));
    skip_spaces(text);
  }
  if (!take(text, "}")) return fail(Code::config_invalid, "A brace ({) is not closed. A plain one is {{.");
  return part;
}

Result<Template> Template::parse(std::string_view text) {
  Template out;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) out.parts_.push_back({std::exchange(literal, {})});
  };
  while (!text.empty()) {
    if (take(text, "{{")) {
      literal += '{';
    } else if (take(text, "}}")) {
      literal += '}';
    } else if (take(text, "{")) {
      end_literal();
      out.parts_.push_back(TRY(placeholder(text)));
    } else if (text.front() == '}') {
      return fail(Code::config_invalid, "A brace (}) has no beginning. A plain one is }}.");
    } else {
      literal += text.front();
      text.remove_prefix(1);
    }
  }
  end_literal();
  return out;
}

Result<std::string> Template::render(const Part& part, const boost::json::value& record, Use use) {
  if (!part.path) return part.text;
  const boost::json::value* found = part.path->in(record);
  if (found == nullptr && !part.otherwise)
    return fail(Code::missing_field, "The record has no " + part.path->text() + ".", part.path->text());
  const std::string text = found == nullptr ? *part.otherwise : text_of(*found);
  if (use == Use::text) return text;
  if (text.empty())
    return fail(Code::bad_topic, part.path->text() + " is empty, and stands in a topic.",
                part.path->text());
  return part.segments ? encode_segments(text) : encode_segment(text);
}

Result<std::string> Template::render(const boost::json::value& record, Use use) const {
  std::string out;
  for (const Part& part : parts_) out += TRY(render(part, record, use));
  return out;
}

Result<boost::json::value> Template::value(const boost::json::value& record) const {
  if (parts_.size() == 1 && parts_[0].path) {
    if (const auto* found = parts_[0].path->in(record)) return *found;
    // In data a value that is not there is null, unless a text is given for it.
    if (!parts_[0].otherwise) return boost::json::value(nullptr);
    return boost::json::value(*parts_[0].otherwise);
  }
  const std::string text = TRY(render(record));
  return boost::json::value(text);
}

}  // namespace belfry::ingest
