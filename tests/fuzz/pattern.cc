// Topic patterns against a slower and plainer reading of MQTT 5 section 4.7.
#include <vector>

#include "fuzz.h"
#include "model/model.h"

using namespace belfry;

namespace {

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0;;) {
    const auto end = text.find('/', at);
    out.push_back(text.substr(at, end - at));
    if (end == std::string_view::npos) return out;
    at = end + 1;
  }
}

bool plainly(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& topic) {
  for (std::size_t i = 0;; ++i) {
    if (i < pattern.size() && pattern[i] == "#") return true;
    if (i == pattern.size() || i == topic.size())
      return i == topic.size() && (i == pattern.size() || pattern[i] == "#");
    if (pattern[i] != "+" && pattern[i] != topic[i]) return false;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto pattern = input.line(), other = input.line(), topic = input.rest();
  const bool good = static_cast<bool>(check_pattern(pattern)) && check_topic(topic);
  if (good) CHECK(matches(pattern, topic) == plainly(split(pattern), split(topic)));
  // What a narrower pattern matches, the one that covers it matches too.
  if (good && check_pattern(other) && covers(other, pattern) && matches(pattern, topic))
    CHECK(matches(other, topic));
  CHECK(check_topic(user_topic(topic)) || topic.size() > limits::user_bytes_max / 3 || topic.empty());
  return 0;
}
