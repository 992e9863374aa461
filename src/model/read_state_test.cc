#include "model/read_state.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "model/feed.h"

namespace belfry {
namespace {

TEST(ReadState, AFreshFeedIsUnseen) {
  const ReadState state;
  EXPECT_EQ(state.at(1), ItemState{});
  EXPECT_EQ(state.ranges(), (std::vector<ReadState::Range>{{0, offset_max, {}}}));
}

TEST(ReadState, AFeedReadInOrderIsOneStep) {
  ReadState state;
  for (Offset offset = 1; offset <= 1000; ++offset)
    EXPECT_TRUE(state.apply(Mark::read, offset - 1, offset));
  EXPECT_EQ(state.steps(), 1u);
  EXPECT_TRUE(state.at(1000).read);
  EXPECT_FALSE(state.at(1001).read);
}

TEST(ReadState, UpToHereNeverCoversNewerItems) {
  ReadState state;
  EXPECT_TRUE(state.apply(Mark::read, 0, 50));
  EXPECT_TRUE(state.at(50).read);
  EXPECT_FALSE(state.at(51).read);
}

TEST(ReadState, AMarkTwiceChangesNothing) {
  ReadState state;
  EXPECT_TRUE(state.apply(Mark::archived, 4, 5));
  EXPECT_FALSE(state.apply(Mark::archived, 4, 5));
  EXPECT_FALSE(state.apply(Mark::unread, 4, 5));
  EXPECT_EQ(state.at(5), (ItemState{true, false, true}));
}

TEST(ReadState, RangesWithoutItemsJoin) {
  ReadState state;
  state.apply(Mark::read, 0, 10);
  state.apply(Mark::read, 14, 15);
  EXPECT_EQ(state.steps(), 3u);
  const auto beside = state.beside(15);
  ASSERT_EQ(beside.size(), 1u);
  EXPECT_EQ(beside[0], (ReadState::Range{10, 14, {}}));
  state.fill(beside[0], state.at(15));
  EXPECT_EQ(state.steps(), 1u);
  EXPECT_TRUE(state.at(12).read);
}

TEST(ReadState, BrokenTextIsAnError) {
  for (const std::string_view text : {"\x01", "\x01\x08", "\xff\xff"})
    EXPECT_FALSE(ReadState::decode(text)) << testing::PrintToString(text);
  EXPECT_FALSE(ReadState::decode(std::string_view("\0\1", 2)));
}

// Against a state kept item by item.
TEST(ReadState, AgreesWithAMapOfItems) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    ReadState state;
    std::map<Offset, ItemState> naive;
    for (int step = 0; step < 200; ++step) {
      const Offset after = random() % 60;
      const Offset upto = random() % 4 == 0 ? after + 1 + random() % 20 : after + 1;
      const auto mark = static_cast<Mark>(random() % 5);
      const ReadState before = state;
      const bool changed = state.apply(mark, after, upto);
      ASSERT_EQ(changed, !(before == state));
      for (Offset offset = after + 1; offset <= upto; ++offset) naive[offset] = marked(naive[offset], mark);
      for (Offset offset = 1; offset < 90; ++offset) ASSERT_EQ(state.at(offset), naive[offset]) << offset;
    }
    const auto again = ReadState::decode(state.encode());
    ASSERT_TRUE(again);
    ASSERT_EQ(again.value(), state);
  }
}

TEST(Mutes, HideByTopicAndByType) {
  const Mutes mutes{{"teams/+"}, {"sale.#"}};
  EXPECT_TRUE(mutes.hide("teams/ops", "x"));
  EXPECT_TRUE(mutes.hide("users/ana", "sale.summer"));
  EXPECT_FALSE(mutes.hide("users/ana", "booking.confirmed"));
  EXPECT_FALSE(Mutes{}.hide("a", "b"));
}

TEST(Follow, HoldsWithinItsInterval) {
  const Follow follow{"t", 5, 9};
  EXPECT_FALSE(follow.holds(4));
  EXPECT_TRUE(follow.holds(5));
  EXPECT_TRUE(follow.holds(8));
  EXPECT_FALSE(follow.holds(9));
  EXPECT_TRUE((Follow{"t", 5, {}}).holds(1000));
}

}  // namespace
}  // namespace belfry
