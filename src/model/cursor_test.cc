#include "model/cursor.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace belfry {
namespace {

RC_GTEST_PROP(Cursor, TextRoundTrip, (std::uint64_t epoch, std::uint64_t offset)) {
  const Cursor cursor{{epoch}, offset};
  const auto parsed = parse_cursor(to_text(cursor));
  RC_ASSERT(parsed);
  RC_ASSERT(parsed.value() == cursor);
}

TEST(Cursor, OnlyTheCanonicalTextIsAccepted) {
  const std::vector<std::string> bad{"",
                                     "now",
                                     "00000000000000aa",
                                     "00000000000000aa.",
                                     ".1",
                                     "00000000000000AA.1",
                                     "00000000000000aa.01",
                                     "00000000000000aa.-1",
                                     "00000000000000aa.+1",
                                     "00000000000000aa.1 ",
                                     " 0000000000000aa.1",
                                     "0x000000000000aa.1",
                                     "00000000000000aa.18446744073709551616",
                                     "000000000000000aa.1",
                                     "00000000000000aa.1.1",
                                     std::string(200, '1')};
  for (const auto& text : bad) EXPECT_FALSE(parse_cursor(text)) << text;
  EXPECT_TRUE(parse_cursor("00000000000000aa.18446744073709551615"));
}

struct EpochTableTest : ::testing::Test {
  // A holds 1 to 80, B was opened without an event, C holds 81 to the head, 100.
  EpochTable table{{{Epoch{0xa}, 1}, {Epoch{0xb}, 81}, {Epoch{0xc}, 81}}};
  Offset head = 100;

  void expect(std::uint64_t epoch, Offset offset, Offset position, std::optional<ResetReason> reset) {
    const auto place = table.place({{epoch}, offset}, head);
    EXPECT_EQ(place.position, position) << epoch << "." << offset;
    EXPECT_EQ(place.reset, reset) << epoch << "." << offset;
  }
};

TEST_F(EpochTableTest, ACursorCountsOnlyInItsEpochsRange) {
  expect(0xa, 0, 0, std::nullopt);
  expect(0xa, 80, 80, std::nullopt);
  expect(0xa, 81, 80, ResetReason::rewound);
  expect(0xb, 80, 80, std::nullopt);
  expect(0xb, 85, 80, ResetReason::rewound);
  expect(0xc, 80, 80, std::nullopt);
  expect(0xc, 100, 100, std::nullopt);
  expect(0xc, 101, 100, ResetReason::rewound);
  expect(0xc, 79, 100, ResetReason::lost);
  expect(0xd, 5, 100, ResetReason::lost);
}

// The oldest epochs are not kept: what they held is the first one's then.
TEST_F(EpochTableTest, WhatLiesBelowTheFirstRowIsTheFirstOnes) {
  table = EpochTable({{Epoch{0xb}, 50}, {Epoch{0xc}, 81}});
  for (const Offset at : {0u, 1u, 48u, 49u, 80u, 81u, 100u}) {
    const Cursor told = table.cursor(at);
    expect(told.epoch.bits, at, at, std::nullopt);
  }
  expect(0xa, 20, 100, ResetReason::lost);
  expect(0xc, 79, 100, ResetReason::lost);
}

TEST_F(EpochTableTest, APositionHasOneText) {
  EXPECT_EQ(table.text(0), "000000000000000a.0");
  EXPECT_EQ(table.text(80), "000000000000000a.80");
  EXPECT_EQ(table.text(81), "000000000000000c.81");
  for (Offset position = 0; position <= head; ++position) {
    const auto place = table.place(table.cursor(position), head);
    EXPECT_EQ(place.position, position);
    EXPECT_FALSE(place.reset);
  }
}

}  // namespace
}  // namespace belfry
