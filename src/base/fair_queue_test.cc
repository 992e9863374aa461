#include "base/fair_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "base/fair_mailbox.h"

namespace belfry {
namespace {

using namespace std::chrono_literals;

std::string all_of(FairQueue<char>& queue) {
  std::string out;
  while (auto popped = queue.pop()) out += popped->item;
  return out;
}

void push(FairQueue<char>& queue, Turn turn, std::string_view items, std::uint64_t cost = 1) {
  for (char item : items) ASSERT_TRUE(queue.push(turn, cost, 0, std::move(item)));
}

TEST(FairQueue, OwnersTakeTurnsAndEachKeepsItsOrder) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "abcd");
  push(queue, {0, 2}, "x");
  push(queue, {0, 3}, "12");
  const std::string order = all_of(queue);
  EXPECT_LT(order.find('x'), 3u) << order;
  EXPECT_LT(order.find('1'), 3u) << order;
  EXPECT_EQ(order.substr(order.size() - 2), "cd");
}

TEST(FairQueue, WhatCostsMoreWaitsLonger) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "AAAA", 10);
  push(queue, {0, 2}, "bbbbbbbbbbbbbbbbbbbb");
  EXPECT_EQ(all_of(queue), "AbbbbbbbbbbAbbbbbbbbbbAA");
}

TEST(FairQueue, WhatWasFoundToCostMoreIsOwed) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "aaa");
  push(queue, {0, 2}, "bbb");
  const auto popped = queue.pop();
  ASSERT_EQ(popped->item, 'a');
  queue.charge(*popped, 10);
  EXPECT_EQ(all_of(queue), "bbbaa");
}

// Two take from the queue: while the one is busy with what costs much, the other goes on with what is light.
TEST(FairQueue, NobodyPaysForTheTimeInWhichHisOwnItemIsServed) {
  constexpr std::uint64_t much = 1000, light = 10;
  FairQueue<char> queue(100'000);
  push(queue, {0, 1}, "M");
  push(queue, {0, 2}, std::string(50'000, 'l'));
  std::uint64_t given_much = 0, given_light = 0;
  std::optional<FairQueue<char>::Popped> busy;
  for (std::uint64_t time = 0, until = 0; time < 400'000; time += light) {
    if (busy && time >= until) {
      queue.charge(*busy, much);
      given_much += much;
      push(queue, {0, 1}, "M");
      busy.reset();
    }
    auto popped = queue.pop();
    if (popped->item == 'M') {
      until = time + much;
      busy.emplace(std::move(*popped));
      popped = queue.pop();
    }
    queue.charge(*popped, light);
    given_light += light;
  }
  EXPECT_NEAR(static_cast<double>(given_much) / static_cast<double>(given_light), 1, 0.15);
}

TEST(FairQueue, WhatIsGivenBackIsFirstOfItsLaneAndBehindTheOthers) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "ab");
  push(queue, {0, 2}, "uvwxyz");
  for (const char* between : {"uvw", "xyz"}) {
    auto popped = queue.pop();
    ASSERT_EQ(popped->item, 'a');
    queue.give_back(std::move(*popped), 2);
    for (const char* next = between; *next != 0; ++next) EXPECT_EQ(queue.pop()->item, *next);
  }
  EXPECT_EQ(all_of(queue), "ab");
}

TEST(FairQueue, WhatIsGivenBackOwesAlsoIfItsLaneWasEmpty) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "a");
  push(queue, {0, 2}, "wxyz");
  push(queue, {1, 3}, "123456");
  auto popped = queue.pop();
  ASSERT_EQ(popped->item, 'a');
  queue.give_back(std::move(*popped), 4);
  EXPECT_EQ(all_of(queue), "12345w6xyza");
  EXPECT_EQ(queue.size() + queue.bytes() + queue.lanes(), 0u);
}

TEST(FairQueue, WhatIsGivenBackFindsRoomThoughAnotherCameMeanwhile) {
  FairQueue<char> queue(2, 8);
  ASSERT_TRUE(queue.push({0, 1}, 1, 4, 'a'));
  auto popped = queue.pop();
  ASSERT_TRUE(queue.push({0, 2}, 1, 4, 'x'));
  ASSERT_TRUE(queue.push({0, 3}, 1, 4, 'y'));
  queue.give_back(std::move(*popped), 1);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.bytes(), 12u);
  for (std::size_t owner = 1; owner < 5; ++owner) EXPECT_FALSE(queue.push({0, owner}, 1, 0, 'z'));
  EXPECT_EQ(all_of(queue).size(), 3u);
}

TEST(FairQueue, WhoWasAwayHasNoCredit) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "aaaa");
  queue.pop();
  queue.pop();
  push(queue, {0, 2}, "bbbb");
  EXPECT_EQ(all_of(queue).substr(0, 4).find("bbb"), std::string::npos);
}

TEST(FairQueue, AThousandUsersAreNoMoreThanOneBackend) {
  FairQueue<char> queue(10'000);
  for (std::uint64_t user = 0; user < 1000; ++user) push(queue, {1, user}, "u");
  push(queue, {0, 7}, "BBB");
  const std::string order = all_of(queue);
  EXPECT_LT(order.rfind('B'), 6u) << order.substr(0, 10);
  // Nor does the other class get its time away from it back.
  for (std::uint64_t user = 0; user < 1000; ++user) push(queue, {1, user}, "u");
  push(queue, {0, 7}, "BBBBBBBB");
  EXPECT_NE(all_of(queue).substr(0, 8), "BBBBBBBB");
}

TEST(FairQueue, WhatAClassWasGivenWhileNobodyElseWaitedIsNotHeldAgainstIt) {
  FairQueue<char> queue(10'000);
  for (int i = 0; i < 1000; ++i) {
    push(queue, {0, 7}, "B", 100);
    queue.charge(*queue.pop(), 2000);
  }
  for (std::uint64_t user = 0; user < 10; ++user) push(queue, {1, user}, "uuuuuuuuuu");
  push(queue, {0, 7}, "B");
  EXPECT_LT(all_of(queue).find('B'), 3u);
}

// One puts in the next item as soon as the last one was taken; the other has many waiting.
std::string shares(Turn one, std::uint64_t cost, Turn other, std::uint64_t other_cost, std::uint64_t found) {
  FairQueue<char> queue(100'000);
  push(queue, one, "x", cost);
  push(queue, other, std::string(500, 'y'), other_cost);
  std::string out;
  for (int i = 0; i < 400; ++i) {
    const auto popped = queue.pop();
    out += popped->item;
    if (popped->item != 'x') continue;
    queue.charge(*popped, found);
    push(queue, one, "x", cost);
  }
  return out;
}

TEST(FairQueue, WhoseLaneIsEmptyNowAndThenStarvesNobody) {
  const auto count = [](const std::string& text) {
    return static_cast<double>(std::count(text.begin(), text.end(), 'y'));
  };
  for (const bool swapped : {false, true}) {
    const Turn a{0, swapped ? 9u : 1u}, b{0, 5}, c{swapped ? 1u : 0u, 2}, d{swapped ? 0u : 1u, 2};
    EXPECT_NEAR(count(shares(a, 1, b, 1, 0)), 200, 2) << "two lanes";
    EXPECT_NEAR(count(shares(c, 1, d, 1, 0)), 200, 2) << "two classes";
    EXPECT_GT(count(shares(c, 100, d, 1, 0)), 390) << "by cost";
    EXPECT_GT(count(shares(c, 1, d, 1, 100)), 390) << "by what it was found to cost";
  }
}

// Owners with one item each put the next one in when theirs was taken; the last owner has many waiting. How
// many turns that one has while the others have 200 each, if all is fair.
std::size_t turns_beside(std::size_t others, std::uint64_t owner_class, std::uint64_t found) {
  FairQueue<char> queue(10'000'000);
  for (std::uint64_t other = 0; other < others; ++other) push(queue, {owner_class, other}, "x");
  push(queue, {owner_class, 1'000'000}, std::string(500, 'y'));
  std::size_t out = 0;
  for (std::size_t i = 0; i < 200 * (others + 1); ++i) {
    const auto popped = queue.pop();
    queue.charge(*popped, found);
    out += popped->item == 'y' ? 1 : 0;
    if (popped->item == 'x' && !queue.push(popped->turn, 1, 0, 'x')) return 0;
  }
  return out;
}

TEST(FairQueue, ManyWithOneItemEachDoNotHoldUpWhoHasTwo) {
  for (const std::size_t others : {1u, 2u, 10u, 100u, 3000u})
    for (const std::uint64_t found : {0u, 7u})
      EXPECT_NEAR(static_cast<double>(turns_beside(others, others % 2, found)), 200, 2) << others;
}

TEST(FairQueue, WhoOweAreForgottenOnceTheyHavePaid) {
  FairQueue<char> queue(10'000'000);
  push(queue, {0, 1}, std::string(5000, 'y'));
  const auto last = queue.pop();
  std::size_t waiting = 1, most = 0;
  for (std::uint64_t owner = 2; owner < 5000; ++owner) {
    push(queue, {0, owner}, "x");
    const auto popped = queue.pop();
    waiting += popped->item == 'x' ? 0 : 1;
    queue.charge(*popped, popped->item == 'x' ? 1'000'000 : 0);
    most = std::max(most, queue.lanes() - waiting);
  }
  EXPECT_EQ(most, queue.debtors_max);
  all_of(queue);
  EXPECT_EQ(queue.lanes(), 0u);
  queue.charge(*last, 5);
  EXPECT_EQ(queue.lanes(), 0u) << "where nobody waits, nobody owes";
}

TEST(FairQueue, ALargeOneThatFitsNowhereElseHasItsTurn) {
  FairQueue<char> queue(100);
  push(queue, {0, 5}, "L", 100);
  push(queue, {0, 9}, "c");
  std::string out;
  for (int group = 0; group < 4; ++group) {
    push(queue, {0, 1}, "s");
    bool first = true;
    while (auto popped = queue.pop_if([&](char item) { return first || item != 'L'; })) {
      first = false;
      out += popped->item;
      if (popped->item == 'L') break;
    }
  }
  EXPECT_NE(out.find('L'), std::string::npos);
  EXPECT_NE(out.find('c'), std::string::npos);
}

TEST(FairQueue, WhoComesBackStandsBehindThoseWhoWait) {
  FairQueue<char> queue(100);
  for (std::uint64_t owner = 0; owner < 8; ++owner)
    push(queue, {0, owner}, std::string(1, static_cast<char>('a' + owner)));
  std::string out;
  for (int turn = 0; turn < 4; ++turn) {
    std::string served;
    for (int i = 0; i < 4; ++i) served += queue.pop()->item;
    for (const char item : served)
      push(queue, {0, static_cast<std::uint64_t>(item - 'a')}, std::string(1, item));
    out += served;
  }
  for (char each = 'a'; each <= 'h'; ++each) EXPECT_EQ(std::count(out.begin(), out.end(), each), 2) << out;
}

TEST(FairQueue, WhatDoesNotSuitKeepsItsTurn) {
  FairQueue<char> queue(100);
  push(queue, {0, 1}, "ab");
  EXPECT_FALSE(queue.pop_if([](char item) { return item == 'b'; }));
  EXPECT_EQ(queue.pop_if([](char item) { return item == 'a'; })->item, 'a');
  EXPECT_EQ(all_of(queue), "b");
}

TEST(FairQueue, OneOwnerFillsHalfAndANewcomerFindsRoom) {
  FairQueue<char> queue(100, 1000);
  std::size_t taken = 0;
  while (queue.push({0, 1}, 1, 1, 'a')) ++taken;
  EXPECT_EQ(taken, 50u);
  EXPECT_TRUE(queue.push({0, 2}, 1, 1, 'b'));
  taken = 0;
  while (queue.push({0, 3}, 1, 400, 'c')) ++taken;
  EXPECT_EQ(taken, 1u) << "half of the bytes that are free";
  EXPECT_TRUE(queue.push({0, 4}, 1, 200, 'd'));
  EXPECT_EQ(queue.size(), 53u);
  while (queue.pop()) continue;
  EXPECT_EQ(queue.size() + queue.bytes() + queue.lanes(), 0u) << "nothing is left of who has gone";
}

TEST(FairMailbox, WakesItsReaderAndEndsWhenItIsClosed) {
  FairMailbox<int> box(8);
  int got = 0;
  std::thread reader([&] {
    while (auto popped = box.wait_pop()) got += popped->item;
  });
  EXPECT_TRUE(box.push({0, 1}, 1, 0, 1));
  EXPECT_TRUE(box.push({1, 1}, 1, 0, 2));
  box.close();
  reader.join();
  EXPECT_EQ(got, 3);
  EXPECT_FALSE(box.push({0, 1}, 1, 0, 4));
  EXPECT_FALSE(box.wait(1ms));
}

TEST(FairMailbox, GivesUpWaitingInTime) {
  FairMailbox<int> box(8);
  EXPECT_TRUE(box.wait(1ms));
  EXPECT_FALSE(box.pop());
}

}  // namespace
}  // namespace belfry
