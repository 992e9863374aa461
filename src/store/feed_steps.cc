#include "store/feed_steps.h"

#include <algorithm>
#include <charconv>

namespace belfry {

Result<Offset> forget_steps(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset after,
                            std::size_t ranges_max, ReadState& read) {
  const Offset head = TRY(rows.head());
  std::vector<OffsetRange> ranges;
  Offset next = 0;
  for (const auto& range : read.ranges(after)) {
    if (range.upto > head) break;  // items may still come
    if (ranges.size() == ranges_max) {
      next = range.after;
      break;
    }
    ranges.push_back({range.after, range.upto});
  }
  if (ranges.empty()) return next;
  const OffsetRange all{ranges.front().after, ranges.back().upto};
  std::vector<FeedSpan> spans{{user_topic(user), all.after, all.upto}};
  for (const Follow& follow : of_user.follows) {
    const FeedSpan span{follow.topic, std::max(all.after, follow.from),
                        std::min(all.upto, follow.to.value_or(offset_max))};
    if (span.after < span.upto) spans.push_back(span);
  }
  const auto held = TRY(rows.tally(spans, {}, ranges));
  // Neighbours together, the newest first: filling moves what stands behind it.
  for (std::size_t end = ranges.size(); end > 0; --end) {
    if (held[end - 1] != 0) continue;
    std::size_t begin = end - 1;
    while (begin > 0 && held[begin - 1] == 0) --begin;
    const Offset upto = ranges[end - 1].upto;
    read.fill({ranges[begin].after, upto, {}}, read.at(upto + 1));
    end = begin + 1;
  }
  return next;
}

std::string user_of_topic(std::string_view topic) {
  constexpr std::string_view prefix = "users/";
  if (!topic.starts_with(prefix)) return {};
  std::string out;
  for (std::size_t i = prefix.size(); i < topic.size(); ++i) {
    unsigned value = 0;
    const char* digits = topic.data() + i + 1;
    const bool encoded = topic[i] == '%' && i + 2 < topic.size() &&
                         std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    out += encoded ? static_cast<char>(value) : topic[i];
    if (encoded) i += 2;
  }
  return user_topic(out) == topic ? out : std::string();
}

}  // namespace belfry
