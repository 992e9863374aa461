#include "delivery/admission.h"

#include <gtest/gtest.h>

#include <set>

namespace belfry {
namespace {

using Wanted = Admission::Wanted;

Instant at(std::int64_t ms) { return {Duration{1'000'000 + ms}}; }

std::size_t admitted(Admission& admission, int tries, Instant now, Wanted wanted = Wanted::stream) {
  std::size_t count = 0;
  for (int i = 0; i < tries; ++i) count += admission.knock(wanted, now) ? 1u : 0u;
  return count;
}

TEST(AdmissionTest, TheBucketFillsWithTime) {
  Admission admission({100, 10, 10});
  EXPECT_EQ(admitted(admission, 500, at(0)), 100u) << "a second's worth at once";
  EXPECT_EQ(admitted(admission, 500, at(100)), 10u);
  EXPECT_EQ(admitted(admission, 500, at(60'000)), 100u) << "never more than that";
  EXPECT_EQ(admitted(admission, 500, at(60'000), Wanted::poll), 500u) << "polls take none of it";
  EXPECT_EQ(admission.counts().by_rate, 400u + 490u + 400u);
}

TEST(AdmissionTest, WhoIsRefusedIsToldWhenToComeBack) {
  Admission admission({1, 10, 10});
  ASSERT_TRUE(admission.knock(Wanted::stream, at(0)));
  admission.expect(50);
  std::set<std::uint32_t> times;
  for (int i = 0; i < 100; ++i) {
    const auto refused = admission.knock(Wanted::stream, at(0));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::overloaded);
    EXPECT_GE(refused.error().retry_ms, 500u);
    EXPECT_LE(refused.error().retry_ms, 120'000u);
    times.insert(refused.error().retry_ms);
  }
  EXPECT_GT(times.size(), 80u) << "each at another moment";
}

TEST(AdmissionTest, TheMoreAreExpectedTheFurtherTheyAreSpread) {
  Admission admission({1000, 10, 10});
  admission.look(0, Duration{0});
  const auto latest = [&](std::uint64_t clients) {
    admission.expect(clients);
    std::uint32_t most = 0;
    for (int i = 0; i < 1000; ++i) most = std::max(most, admission.retry_ms());
    return most;
  };
  EXPECT_LE(latest(10), 5000u);
  EXPECT_GT(latest(30'000), 20'000u);
  EXPECT_LE(latest(10'000'000), 120'000u);
}

TEST(AdmissionTest, SeatsAreGivenBack) {
  Admission admission({1000, 2, 3});
  auto first = admission.take_seat("ana", "203.0.113.1");
  auto second = admission.take_seat("ana", "203.0.113.1");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(admission.take_seat("ana", "203.0.113.2").error().code, Code::too_many_streams);
  auto third = admission.take_seat("bob", "203.0.113.1");
  ASSERT_TRUE(third);
  EXPECT_FALSE(admission.take_seat("eve", "203.0.113.1")) << "the address has three";
  EXPECT_TRUE(admission.take_seat("eve", {})) << "who is not counted by address";
  EXPECT_TRUE(admission.take_seat({}, "203.0.113.9")) << "a backend is nobody's user";
  {
    const Seat gone = std::move(first).value();
  }
  EXPECT_TRUE(admission.take_seat("ana", "203.0.113.1"));
  EXPECT_EQ(admission.counts().by_user, 1u);
  EXPECT_EQ(admission.counts().by_address, 1u);
}

TEST(AdmissionTest, LevelsAreEnteredAndLeftApart) {
  Admission admission({1'000'000, 10, 10});
  const auto level = [&](double pressure) {
    admission.look(pressure, Duration{0});
    return admission.load();
  };
  EXPECT_EQ(level(0.79), Load::normal);
  EXPECT_EQ(level(0.80), Load::shedding);
  EXPECT_EQ(level(0.76), Load::shedding) << "not left yet";
  EXPECT_FALSE(admission.knock(Wanted::stream, at(0)));
  EXPECT_TRUE(admission.knock(Wanted::resume, at(0)));
  EXPECT_TRUE(admission.knock(Wanted::poll, at(0)));
  EXPECT_EQ(level(0.74), Load::normal);
  EXPECT_EQ(level(0.97), Load::critical) << "over two levels at once";
  EXPECT_FALSE(admission.knock(Wanted::resume, at(0)));
  EXPECT_FALSE(admission.knock(Wanted::poll, at(0)));
  EXPECT_EQ(level(0.91), Load::critical);
  EXPECT_EQ(level(0.89), Load::refusing);
  EXPECT_EQ(level(0.10), Load::normal);
}

TEST(AdmissionTest, LateLoopsSlowTheBucketDown) {
  Admission admission({1000, 10, 10});
  EXPECT_EQ(admitted(admission, 5000, at(0)), 1000u);
  for (int i = 0; i < 4; ++i) admission.look(0, Duration{500});
  for (int i = 0; i < 10; ++i) admission.look(0, Duration{0});
  const std::size_t slow = admitted(admission, 5000, at(2000));
  EXPECT_GT(slow, 0u);
  EXPECT_LT(slow, 400u);
  for (int i = 0; i < 200; ++i) admission.look(0, Duration{0});
  EXPECT_EQ(admitted(admission, 5000, at(9000)), 1000u) << "recovered";
}

TEST(AdmissionTest, AFewLateTurnsAreNoLoad) {
  Admission admission({1000, 10, 10});
  for (int i = 0; i < 40; ++i) EXPECT_FALSE(admission.look(0, Duration{i % 8 < 3 ? 5000 : 0})) << i;
  for (int i = 0; i < 8; ++i) EXPECT_FALSE(admission.look(0, Duration{0}));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(admission.look(0, Duration{5000}));
  EXPECT_TRUE(admission.look(0, Duration{240})) << "the fourth within two seconds";
  EXPECT_EQ(admission.load(), Load::critical);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(admission.look(0, Duration{0}));
  EXPECT_TRUE(admission.look(0, Duration{0}));
  EXPECT_EQ(admission.load(), Load::normal);
}

}  // namespace
}  // namespace belfry
