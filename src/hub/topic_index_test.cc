#include "hub/topic_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace belfry {
namespace {

std::vector<Group*> groups_for(const TopicIndex& index, std::string_view topic) {
  TopicIndex::Patterns patterns;
  index.find(topic, patterns);
  std::vector<Group*> groups;
  TopicIndex::select_all(patterns, groups);
  return groups;
}

std::vector<std::string> patterns_for(const TopicIndex& index, std::string_view topic) {
  const std::vector<Group*> groups = groups_for(index, topic);
  std::vector<std::string> out;
  for (const Group* group : groups) out.push_back(group->selector.topic);
  std::sort(out.begin(), out.end());
  return out;
}

// Who is asked for by these groups: each session, by its place among all of them, with the selector.
using Asked = std::vector<std::pair<std::size_t, Selector>>;

Asked members_of(const std::vector<Group*>& groups, const std::vector<Session>& sessions) {
  Asked out;
  for (const Group* group : groups)
    for (const Session* session : group->members)
      out.emplace_back(static_cast<std::size_t>(session - sessions.data()), group->selector);
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
    const std::vector<Group*> groups = groups_for(index, topic);
    Asked expected;
    for (std::size_t i = 0; i < held.size(); ++i)
      for (const auto& selector : held[i])
        if (matches(selector.topic, topic)) expected.emplace_back(i, selector);
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(members_of(groups, sessions), expected) << topic << " at step " << step;
  }
  for (auto& session : sessions) index.leave_all(session);
  EXPECT_EQ(index.groups(), 0u);
  EXPECT_EQ(index.patterns(), 0u);
}

// Threat 34: of a topic that nobody asks for any more nothing is kept.
TEST(TopicIndex, ForgetsATopicWithItsLastListener) {
  TopicIndex index;
  std::vector<Session> sessions(2);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "t/" + std::to_string(i);
    for (const Selector& selector : {Selector{name, {}}, Selector{name, {"x"}}, Selector{name + "/+", {}}}) {
      for (Session& session : sessions) ASSERT_TRUE(index.join(session, selector));
      ASSERT_TRUE(index.leave(sessions[0], selector));
    }
    EXPECT_EQ(index.patterns(), 2u);
    index.leave_all(sessions[1]);
    ASSERT_EQ(index.patterns(), 0u);
  }
}

std::vector<Group*> asked_for(TopicIndex& index, const Event& event, std::size_t* compared = nullptr) {
  TopicIndex::Patterns patterns;
  index.find(event.topic, patterns);
  std::vector<Group*> groups;
  const std::size_t took = index.select(patterns, event, groups);
  if (compared != nullptr) *compared = took;
  return groups;
}

TEST(PatternTrie, KeepsNothingOfPatternsThatAreGone) {
  PatternTrie<int> trie('/');
  const std::vector<std::string> patterns{"a/b", "a/+/c", "a/#", "#", "a"};
  for (const auto& pattern : patterns) trie.at(pattern) = 1;
  for (const auto& pattern : patterns) {
    EXPECT_FALSE(trie.empty());
    trie.at(pattern) = 0;
    trie.prune(pattern);
  }
  EXPECT_TRUE(trie.empty());
}

// Against accepts(), with groups of few and of many types coming and going.
TEST(TopicIndex, AgreesWithTheMatcherOfTypesUnderChurn) {
  std::mt19937_64 random(9);
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto make_name = [&](char separator, bool wild) {
    std::string name;
    for (std::size_t i = 0, n = 1 + pick(3); i < n; ++i) {
      if (i > 0) name += separator;
      if (wild && i + 1 == n && pick(5) == 0) return name + "#";
      name += wild && pick(4) == 0 ? "+" : std::string(1, static_cast<char>('a' + pick(2)));
    }
    return name;
  };
  TopicIndex index;
  std::vector<Session> sessions(12);
  std::vector<std::vector<Selector>> held(sessions.size());
  for (int step = 0; step < 20'000; ++step) {
    const auto s = pick(sessions.size());
    // Now more come than go, now more go than come: chains grow beyond a few types and vanish again.
    if (pick(10) < (step / 500 % 2 == 0 ? 8u : 2u)) {
      Selector selector{pick(2) == 0 ? "a/b" : make_name('/', true), {}, pick(3) == 0};
      for (std::size_t i = 0, n = pick(5); i < n; ++i) selector.types.push_back(make_name('.', true));
      std::sort(selector.types.begin(), selector.types.end());
      selector.types.erase(std::unique(selector.types.begin(), selector.types.end()), selector.types.end());
      const bool had = std::find(held[s].begin(), held[s].end(), selector) != held[s].end();
      ASSERT_EQ(index.join(sessions[s], selector), !had);
      if (!had) held[s].push_back(selector);
    } else if (!held[s].empty()) {
      const auto k = pick(held[s].size());
      ASSERT_TRUE(index.leave(sessions[s], held[s][k]));
      ASSERT_FALSE(index.leave(sessions[s], held[s][k]));
      held[s].erase(held[s].begin() + static_cast<std::ptrdiff_t>(k));
    }
    Event event;
    event.topic = pick(2) == 0 ? "a/b" : make_name('/', false);
    event.type = make_name('.', false);
    event.notification = pick(2) == 0 ? "{}" : "";
    Asked expected;
    for (std::size_t i = 0; i < held.size(); ++i)
      for (const auto& selector : held[i])
        if (accepts(selector, event)) expected.emplace_back(i, selector);
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(members_of(asked_for(index, event), sessions), expected)
        << event.topic << " " << event.type << " at step " << step;
  }
  for (auto& session : sessions) index.leave_all(session);
  EXPECT_EQ(index.groups(), 0u);
  EXPECT_TRUE(groups_for(index, "a/b").empty());
}

TEST(TopicIndex, AnEventIsNotComparedWithTheTypesOfGroupsThatItIsNotFor) {
  TopicIndex index;
  std::vector<Session> sessions(100);
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    for (std::size_t g = 0; g < limits::stream_topics_max; ++g) {
      Selector selector{"a/+", {}};
      for (std::size_t k = 0; k < 4; ++k)
        selector.types.push_back("t.x" + std::to_string(s) + ".y" + std::to_string(g) + ".z" +
                                 std::to_string(k));
      ASSERT_TRUE(index.join(sessions[s], selector));
    }
  }
  ASSERT_EQ(index.groups(), sessions.size() * limits::stream_topics_max);
  std::size_t compared = 0;
  Event event;
  event.topic = "a/b";
  event.type = "t.x7.y8.z2";
  ASSERT_EQ(asked_for(index, event, &compared).size(), 1u);
  EXPECT_LT(compared, 20u);
  event.type = "other";
  ASSERT_TRUE(asked_for(index, event, &compared).empty());
  EXPECT_LT(compared, 20u);
  for (auto& session : sessions) index.leave_all(session);
}

}  // namespace
}  // namespace belfry
