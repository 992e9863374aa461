#include "hub/topic_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace belfry {
namespace {

std::vector<std::string> patterns_for(const TopicIndex& index, std::string_view topic) {
  std::vector<Group*> groups;
  index.find(topic, groups);
  std::vector<std::string> out;
  for (const Group* group : groups) out.push_back(group->selector.topic);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(TopicIndex, FindsExactAndWildcardGroups) {
  TopicIndex index;
  Session a, b;
  index.join(a, {"bookings/7", {}});
  index.join(a, {"bookings/+", {}});
  index.join(b, {"bookings/#", {}});
  index.join(b, {"#", {}});
  index.join(b, {"+/7", {}});
  EXPECT_EQ(patterns_for(index, "bookings/7"),
            (std::vector<std::string>{"#", "+/7", "bookings/#", "bookings/+", "bookings/7"}));
  EXPECT_EQ(patterns_for(index, "bookings"), (std::vector<std::string>{"#", "bookings/#"}));
  EXPECT_EQ(patterns_for(index, "other/8/9"), (std::vector<std::string>{"#"}));
  EXPECT_TRUE(patterns_for(index, "").empty());
}

TEST(TopicIndex, JoiningTwiceIsOnceAndLeavingRemovesTheGroup) {
  TopicIndex index;
  Session a;
  EXPECT_TRUE(index.join(a, {"x/+", {}}));
  EXPECT_FALSE(index.join(a, {"x/+", {}}));
  EXPECT_TRUE(index.join(a, {"x/+", {"t"}}));
  EXPECT_EQ(index.groups(), 2u);
  EXPECT_TRUE(index.leave(a, {"x/+", {}}));
  EXPECT_FALSE(index.leave(a, {"x/+", {}}));
  EXPECT_EQ(patterns_for(index, "x/1").size(), 1u);
  index.leave_all(a);
  EXPECT_EQ(index.groups(), 0u);
  EXPECT_TRUE(patterns_for(index, "x/1").empty());
}

// Against the plain matcher, with sessions coming and going.
TEST(TopicIndex, AgreesWithTheMatcherUnderChurn) {
  std::mt19937_64 random(7);
  const std::vector<std::string> words{"a", "b", "c"};
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto make_name = [&](bool wild) {
    std::string name;
    for (std::size_t i = 0, n = 1 + pick(3); i < n; ++i) {
      if (i > 0) name += '/';
      if (wild && i + 1 == n && pick(4) == 0) return name + "#";
      name += wild && pick(3) == 0 ? "+" : words[pick(3)];
    }
    return name;
  };
  TopicIndex index;
  std::vector<Session> sessions(40);
  std::vector<std::vector<Selector>> held(sessions.size());
  for (int step = 0; step < 5000; ++step) {
    const auto s = pick(sessions.size());
    if (pick(3) != 0) {
      Selector selector{make_name(true), {}};
      if (index.join(sessions[s], selector)) held[s].push_back(selector);
    } else if (!held[s].empty()) {
      const auto k = pick(held[s].size());
      ASSERT_TRUE(index.leave(sessions[s], held[s][k]));
      held[s].erase(held[s].begin() + static_cast<std::ptrdiff_t>(k));
    }
    const std::string topic = make_name(false);
    std::vector<Group*> groups;
    index.find(topic, groups);
    std::size_t members = 0;
    for (const Group* group : groups) members += group->members.size();
    std::size_t expected = 0;
    for (const auto& selectors : held)
      for (const auto& selector : selectors) expected += matches(selector.topic, topic) ? 1u : 0u;
    ASSERT_EQ(members, expected) << topic << " at step " << step;
  }
  for (auto& session : sessions) index.leave_all(session);
  EXPECT_EQ(index.groups(), 0u);
}

}  // namespace
}  // namespace belfry
