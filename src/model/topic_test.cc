#include "model/topic.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <ctime>

#include "model/event.h"

namespace belfry {
namespace {

// Threat 33: the worst pattern costs no more than its length.
TEST(Pattern, NoPatternIsSlow) {
  const std::vector<std::string> hard{"+/+/+/+/+/+/+/#", "+/+/+/+/+/+/+/+", "#", "+/a/+/a/+/a/+/b",
                                      std::string(253, 'a') + "/+"};
  const std::vector<std::string> topics{"a/a/a/a/a/a/a/a", std::string(255, 'a'),
                                        std::string(253, 'a') + "/b"};
  const auto began = std::clock();
  std::size_t matched = 0, tried = 0;
  for (; tried < 300'000; ++tried)
    matched += matches(hard[tried % hard.size()], topics[tried % topics.size()]) ? 1u : 0u;
  const double each =
      static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC / static_cast<double>(tried);
  EXPECT_GT(matched, 0u);
  EXPECT_LT(each, 50e-6);
}

// Twice the length is twice the work, not four times: 64 short ones take about as long as one that is 64
// times as long, where quadratic work would take 64 times as long. Of the processor's time, at best.
TEST(Pattern, MatchingIsLinear) {
  constexpr std::size_t kShort = 128, kTimes = 64, kRepeats = 16;
  const auto repeated = [](const std::string& piece, std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += piece;
    return out;
  };
  const auto cost = [](const std::string& pattern, const std::string& name, std::size_t times) {
    const auto began = std::clock();
    for (std::size_t i = 0; i < times; ++i) EXPECT_TRUE(matches(pattern, name) && covers(pattern, name));
    return std::clock() - began;
  };
  for (const std::string pattern : {"+/", "a/", "a", "b/+/"}) {
    const std::string name = pattern == "+/" ? "a/" : pattern == "b/+/" ? "b/a/" : pattern;
    double best = 1e9;
    for (int attempt = 0; attempt < 10 && best > 8; ++attempt) {
      const auto ends = [](std::string text) { return std::move(text) + 'z'; };
      const auto many =
          cost(ends(repeated(pattern, kShort)), ends(repeated(name, kShort)), kTimes * kRepeats);
      const auto one =
          cost(ends(repeated(pattern, kShort * kTimes)), ends(repeated(name, kShort * kTimes)), kRepeats);
      best = std::min(best, static_cast<double>(one) / static_cast<double>(std::max<std::clock_t>(many, 1)));
    }
    EXPECT_LT(best, 8) << pattern;
  }
}

TEST(Topic, GrammarTable) {
  const std::string eight = "a/b/c/d/e/f/g/h";
  for (const std::string good : {"a", "bookings/7", "users/auth0%7Cx", "A-Z_0~9@:.", "./..", eight.c_str()})
    EXPECT_TRUE(check_topic(good)) << good;
  const std::vector<std::string> bad{
      "",    "/",    "/a",  "a/", "a//b", eight + "/i", std::string(256, 'a'),  "a b", "a\nb",  "é", "a%",
      "a%2", "a%zz", "a/+", "#",  "a+",   "a/#/b",      std::string("a\0b", 3), "a?",  "a/b\\c"};
  for (const auto& topic : bad) {
    auto checked = check_topic(topic);
    ASSERT_FALSE(checked) << topic;
    EXPECT_EQ(checked.error().code, Code::bad_topic);
  }
  EXPECT_TRUE(check_topic(std::string(255, 'a')));
}

TEST(Pattern, GrammarTable) {
  for (const std::string good : {"+", "#", "a/+", "a/#", "+/b/+", "a"})
    EXPECT_TRUE(check_pattern(good)) << good;
  for (const std::string bad : {"a+", "a/#/b", "#/a", "a/b#", "++", "a/++"}) {
    auto checked = check_pattern(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Code::bad_pattern);
  }
}

TEST(Type, GrammarTable) {
  for (const std::string good : {"message", "booking.confirmed", "a-b_c.1", "refresh"})
    EXPECT_TRUE(check_type(good));
  for (const std::string bad :
       {"", "a b", "a\nb", "error", "open", "reset", "heartbeat", "connected", "a/b"})
    EXPECT_FALSE(check_type(bad)) << bad;
  EXPECT_TRUE(check_type(std::string(64, 'a')));
  EXPECT_FALSE(check_type(std::string(65, 'a')));
  EXPECT_TRUE(check_type_pattern("payment.#"));
  EXPECT_TRUE(check_type_pattern("+.confirmed"));
  EXPECT_FALSE(check_type_pattern("#.a"));
  EXPECT_FALSE(check_type_pattern("a+"));
}

TEST(Pattern, MatchTable) {
  EXPECT_TRUE(matches("a/#", "a"));
  EXPECT_TRUE(matches("a/#", "a/b/c"));
  EXPECT_FALSE(matches("a/#", "ab"));
  EXPECT_TRUE(matches("#", "a/b"));
  EXPECT_TRUE(matches("+/b", "a/b"));
  EXPECT_FALSE(matches("+", "a/b"));
  EXPECT_FALSE(matches("a/+", "a"));
  EXPECT_FALSE(matches("a/b", "a"));
  EXPECT_TRUE(matches("payment.#", "payment.confirmed", '.'));
}

TEST(Pattern, CoverTable) {
  EXPECT_TRUE(covers("#", "+/#"));
  EXPECT_TRUE(covers("+/#", "#")) << "a topic has one segment at least";
  EXPECT_FALSE(covers("a/+/#", "a/#")) << "which also matches a";
  EXPECT_TRUE(covers("a/#", "a"));
  EXPECT_TRUE(covers("a/+", "a/b"));
  EXPECT_FALSE(covers("a/b", "a/+"));
  EXPECT_FALSE(covers("+", "#"));
}

using Words = std::vector<std::string>;

Words split(const std::string& text) {
  Words out(1);
  for (const char c : text) {
    if (c == '/') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

bool naive(const Words& pattern, const Words& name, std::size_t p = 0, std::size_t n = 0) {
  if (p == pattern.size()) return n == name.size();
  if (pattern[p] == "#") return true;
  if (n == name.size()) return false;
  return (pattern[p] == "+" || pattern[p] == name[n]) && naive(pattern, name, p + 1, n + 1);
}

std::string draw(bool wild) {
  const int count = *rc::gen::inRange(1, 5);
  std::string out;
  for (int i = 0; i < count; ++i) {
    if (i > 0) out += '/';
    const int kind = *rc::gen::inRange(0, wild ? 5 : 3);
    if (kind == 4) return out + "#";
    out += kind == 3 ? "+" : std::string(1, static_cast<char>('a' + kind));
  }
  return out;
}

RC_GTEST_PROP(Pattern, MatchesAsTheNaiveMatcher, ()) {
  const auto pattern = draw(true), name = draw(false);
  RC_ASSERT(matches(pattern, name) == naive(split(pattern), split(name)));
}

RC_GTEST_PROP(Pattern, WhatIsCoveredIsMatched, ()) {
  const auto outer = draw(true), inner = draw(true), name = draw(false);
  if (covers(outer, inner) && matches(inner, name)) RC_ASSERT(matches(outer, name));
}

// Every name of up to five segments over three words and one foreign one.
void all_names(std::string prefix, int depth, std::vector<std::string>& out) {
  for (const std::string word : {"a", "b", "c", "z"}) {
    out.push_back(prefix + word);
    if (depth > 1) all_names(prefix + word + "/", depth - 1, out);
  }
}

RC_GTEST_PROP(Pattern, WhatIsNotCoveredHasACounterexample, ()) {
  static const auto names = [] {
    std::vector<std::string> out;
    all_names("", 5, out);
    return out;
  }();
  const auto outer = draw(true), inner = draw(true);
  if (covers(outer, inner)) return;
  RC_ASSERT(std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return matches(inner, name) && !matches(outer, name);
  }));
}

TEST(Topic, ForeignTextIsEncoded) {
  EXPECT_EQ(user_topic("auth0|x"), "users/auth0%7Cx");
  EXPECT_EQ(encode_segment("a/b%+#"), "a%2Fb%25%2B%23");
  EXPECT_TRUE(check_topic(user_topic("José +#/%")));
}

TEST(Selector, IsNormalised) {
  const auto selector = make_selector("a/+", {"b", "a", "b"});
  ASSERT_TRUE(selector);
  EXPECT_EQ(selector.value().types, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(make_selector("a/", {}).error().field, "topic");
  EXPECT_EQ(make_selector("a", {"?"}).error().field, "type");
}

}  // namespace
}  // namespace belfry
