#include "hub/tail_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace belfry {
namespace {

// A view of a made-up tail, and a session whose selectors are in an index.
struct SliceTest : ::testing::Test {
  std::mt19937_64 random{11};
  TopicIndex index;
  TailView view;
  Session session;
  std::vector<Selector> selectors;
  std::deque<Entry> entries;

  ~SliceTest() override { index.leave_all(session); }

  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random() % n); }
  void add(std::string topic, std::string type, std::string notification = {}) {
    Event event;
    event.offset = entries.size() + 1;
    event.topic = std::move(topic);
    event.type = std::move(type);
    event.notification = std::move(notification);
    view.add(entries.emplace_back(std::move(event)), index);
  }
  void want(Selector selector) {
    if (index.join(session, selector)) selectors.push_back(std::move(selector));
  }
  // Reads all there is, slice by slice, and compares it with what each selector says of each event.
  std::size_t read_all(std::size_t entries_max) {
    TailView::Slice slice;
    std::size_t slices = 0;
    Offset position = 0;
    std::size_t most = 1 + selectors.size();
    for (const Selector& selector : selectors) most += 1 + selector.types.size();
    for (; position < view.head(); ++slices) {
      view.slice(session, position, {entries_max}, slice);
      EXPECT_LE(slice.work, limits::slice_work_max + most) << "one row more, and its look-ups";
      EXPECT_GT(slice.upto, position);
      if (slice.upto <= position) return 0;
      auto next = slice.entries.begin();
      for (Offset offset = position + 1; offset <= slice.upto; ++offset) {
        const Entry& entry = entries[offset - 1];
        const bool wanted = std::any_of(selectors.begin(), selectors.end(),
                                        [&](const Selector& s) { return accepts(s, entry.event()); });
        if (!wanted) continue;
        if (next == slice.entries.end() || *next != &entry) {
          ADD_FAILURE() << "lost: " << offset;
          return 0;
        }
        ++next;
      }
      EXPECT_EQ(next, slice.entries.end());
      EXPECT_LE(slice.entries.size(), entries_max);
      position = slice.upto;
    }
    return slices;
  }
};

TEST_F(SliceTest, AViewKeepsItsBatchesUntilItIsTrimmed) {
  std::vector<Event> events(1);
  events[0].offset = 1;
  events[0].topic = "a";
  auto batch = std::make_shared<const Batch>(std::move(events));
  const std::weak_ptr<const Batch> kept = batch;
  view.hold(batch);
  view.add(batch->entries[0], index);
  batch.reset();
  EXPECT_FALSE(kept.expired());
  view.trim(1);
  EXPECT_TRUE(kept.expired());
}

TEST_F(SliceTest, EndsWithinItsBudgetWhateverIsAskedFor) {
  for (const char* pattern : {"a/b", "a/+"}) {
    index.leave_all(session);
    selectors.clear();
    for (std::size_t i = 0; i < limits::stream_topics_max; ++i) {
      Selector selector{pattern, {}};
      for (std::size_t k = 0; k < limits::stream_types_max; ++k)
        selector.types.push_back("t." + std::to_string(1000 + i * limits::stream_types_max + k));
      want(std::move(selector));
    }
    while (entries.size() < 300) add("a/b", "t." + std::to_string(pick(10'000)));
    EXPECT_GT(read_all(limits::write_events_max), 40u) << pattern;
  }
}

TEST_F(SliceTest, LosesNothingWhereverItEnds) {
  const std::vector<std::string> topics{"a", "a/b", "a/c", "b", "b/c", "c"};
  const std::vector<std::string> types{"x", "x.y", "x.z", "y", "y.z"};
  const std::vector<std::string> type_patterns{"x", "x.#", "x.+", "+.z", "y", "q", "q.r", "+.q"};
  while (entries.size() < 6000) add(topics[pick(6)], types[pick(5)], pick(3) == 0 ? "{}" : "");
  for (int round = 0; round < 60; ++round) {
    index.leave_all(session);
    selectors.clear();
    const bool wild = round % 2 == 0;
    for (std::size_t i = 0, n = 1 + pick(60); i < n; ++i) {
      Selector selector{topics[pick(6)], {}, pick(4) == 0};
      if (wild && pick(8) == 0) selector.topic = pick(2) == 0 ? "a/#" : "+/c";
      for (const std::string& pattern : type_patterns)
        if (pick(3) == 0) selector.types.push_back(pattern);
      if (selector.types.empty() && pick(8) != 0) selector.types.push_back("none");
      std::sort(selector.types.begin(), selector.types.end());
      want(std::move(selector));
    }
    ASSERT_GT(read_all(1 + pick(limits::write_events_max)), 0u) << "round " << round;
    if (HasFailure()) return;
  }
}

// Threat 34.
TEST_F(SliceTest, ForgetsATopicWithItsLastEntry) {
  for (int i = 0; i < 100; ++i) add("once/" + std::to_string(i), "x");
  add("once/99", "x");
  EXPECT_EQ(view.topics(), 100u);
  view.trim(100);
  EXPECT_EQ(view.topics(), 1u);
  EXPECT_EQ(view.topic("once/98"), nullptr);
  EXPECT_NE(view.topic("once/99"), nullptr);
  view.trim(101);
  EXPECT_EQ(view.topics(), 0u);
}

}  // namespace
}  // namespace belfry
