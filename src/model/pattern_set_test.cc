#include "model/pattern_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace belfry {
namespace {

std::set<std::size_t> matched_by(const PatternSet& set, std::string_view name, std::size_t& work) {
  std::set<std::size_t> out;
  set.any_of(name, work, [&](std::size_t index) {
    EXPECT_TRUE(out.insert(index).second) << "told twice";
    return false;
  });
  return out;
}

struct Names {
  std::mt19937_64 random;
  std::size_t pick(std::size_t n) { return random() % n; }
  // Few segments, and some that sort before and after '/'.
  std::string name(bool wildcards) {
    static const std::vector<std::string> segments{"a", "a-", "a.b", "a0", "b", "%41", "~"};
    std::string out;
    for (std::size_t left = 1 + pick(4); left > 0; --left) {
      if (!out.empty()) out += '/';
      if (wildcards && left == 1 && pick(4) == 0) return out + "#";
      out += wildcards && pick(3) == 0 ? "+" : segments[pick(segments.size())];
    }
    return out;
  }
};

TEST(PatternSet, AgreesWithMatches) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Names names{std::mt19937_64(seed)};
    std::vector<std::string> texts;
    for (std::size_t i = names.pick(1 + seed % 60); i > 0; --i) texts.push_back(names.name(true));
    const std::vector<std::string_view> patterns(texts.begin(), texts.end());
    const PatternSet set(patterns);
    const auto ranges = set.ranges();
    for (int i = 0; i < 200; ++i) {
      const std::string name = names.name(false);
      std::set<std::size_t> expected;
      for (std::size_t at = 0; at < patterns.size(); ++at)
        if (matches(patterns[at], name)) expected.insert(at);
      std::size_t work = 0;
      ASSERT_EQ(matched_by(set, name, work), expected) << "seed " << seed << ": " << name;
      ASSERT_EQ(set.matches(name, work), !expected.empty()) << "seed " << seed << ": " << name;
      const auto within =
          std::count_if(ranges.begin(), ranges.end(),
                        [&](const NameRange& range) { return range.from <= name && name < range.to; });
      ASSERT_LE(within, 1) << "seed " << seed << ": " << name;
      ASSERT_GE(within, expected.empty() ? 0 : 1) << "seed " << seed << ": " << name;
    }
  }
}

TEST(PatternSet, RangesAreTheLiteralPrefixesMerged) {
  const auto ranges_of = [](const std::vector<std::string_view>& patterns) {
    return PatternSet(patterns).ranges();
  };
  using Ranges = std::vector<NameRange>;
  EXPECT_EQ(ranges_of({}), Ranges{});
  EXPECT_EQ(ranges_of({"a/b"}), (Ranges{{"a/b", "a/b\x01", true}}));
  EXPECT_EQ(ranges_of({"a/b", "a/b"}), (Ranges{{"a/b", "a/b\x01", true}}));
  EXPECT_EQ(ranges_of({"a/+/x", "a/+/y", "a/b"}), (Ranges{{"a/", "a0", false}}));
  EXPECT_EQ(ranges_of({"a/#"}), (Ranges{{"a", "a\x01", true}, {"a/", "a0", false}}));
  EXPECT_EQ(ranges_of({"a/b/+", "c", "a/+"}), (Ranges{{"a/", "a0", false}, {"c", "c\x01", true}}));
  EXPECT_EQ(ranges_of({"+/x", "a/b", "c/#"}), (Ranges{{"", "\x7f", false}}));
}

TEST(PatternSet, ANameIsComparedWithFewOfManyPatterns) {
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) texts.push_back("bookings/+/p" + std::to_string(i));
  PatternSet set(std::vector<std::string_view>(texts.begin(), texts.end()));
  std::size_t work = 0;
  EXPECT_FALSE(set.matches("bookings/7", work));
  EXPECT_FALSE(set.matches("other/7/p3", work));
  EXPECT_EQ(matched_by(set, "bookings/7/p999", work), std::set<std::size_t>{999});
  EXPECT_LE(work, 12u);
}

// The worst patterns: at each segment both ways are open.
TEST(PatternSet, ANameHasABound) {
  std::vector<std::string> texts;
  for (unsigned bits = 0; bits < 256; ++bits) {
    std::string text;
    for (unsigned i = 0; i < 8; ++i) text += std::string(i == 0 ? "" : "/") + (bits >> i & 1 ? '+' : 'a');
    texts.push_back(text);
  }
  PatternSet set(std::vector<std::string_view>(texts.begin(), texts.end()));
  std::size_t work = 0;
  EXPECT_EQ(matched_by(set, "a/a/a/a/a/a/a/a", work).size(), 256u);
  EXPECT_LE(work, 256u + 512u);
}

TEST(PatternSet, StopsAtTheFirstThatIsAccepted) {
  const std::vector<Selector> selectors{{"a/+", {}}, {"#", {}}, {"a/b", {}}};
  const PatternSet set{std::span(selectors)};
  std::size_t work = 0, asked = 0;
  EXPECT_TRUE(set.any_of("a/b", work, [&](std::size_t index) { return ++asked, index == 1; }));
  EXPECT_EQ(asked, 1u);
}

}  // namespace
}  // namespace belfry
