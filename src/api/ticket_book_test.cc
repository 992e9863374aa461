#include "api/ticket_book.h"

#include <gtest/gtest.h>

namespace belfry {
namespace {

constexpr Timestamp kEnd{Duration{1'000'000}};

UsedTicket ticket(const std::string& id, const std::string& principal, Duration later = Duration{0}) {
  return {id, principal, kEnd + later};
}

TEST(TicketBook, KnowsWhatWasUsedUntilItsTimeIsOver) {
  TicketBook book;
  EXPECT_FALSE(book.knows("a"));
  EXPECT_EQ(book.put(ticket("a", "user:ana")).forgotten, "");
  EXPECT_TRUE(book.knows("a"));
  book.forget(kEnd + Duration{-1});
  EXPECT_TRUE(book.knows("a"));
  book.forget(kEnd);
  EXPECT_FALSE(book.knows("a"));
}

TEST(TicketBook, ARenewedOneCountsUntilLaterAndNeverShorter) {
  TicketBook book;
  book.put(ticket("a", "user:ana"));
  EXPECT_EQ(book.put(ticket("a", "user:ana", Duration{500})).ticket.until, kEnd + Duration{500});
  EXPECT_EQ(book.put(ticket("a", "user:ana")).ticket.until, kEnd + Duration{500});
  book.forget(kEnd);
  EXPECT_TRUE(book.knows("a"));
}

TEST(TicketBook, OneUserHasSoManyAndTakesNobodyElsesPlace) {
  TicketBook book;
  book.put(ticket("eve's", "user:eve"));
  const auto name = [](std::size_t i) { return "ana's " + std::to_string(i); };
  for (std::size_t i = 0; i < limits::tickets_per_user_max; ++i)
    EXPECT_EQ(book.put(ticket(name(i), "user:ana", Duration{1 + static_cast<long>(i)})).forgotten, "");
  EXPECT_EQ(book.put(ticket("one more", "user:ana", Duration{9'000})).forgotten, name(0));
  EXPECT_FALSE(book.knows(name(0)));
  EXPECT_TRUE(book.knows(name(1)));
  EXPECT_TRUE(book.knows("one more"));
  EXPECT_TRUE(book.knows("eve's"));
}

TEST(TicketBook, ABackendHasAsManyAsThereAre) {
  TicketBook book;
  for (std::size_t i = 0; i < limits::tickets_max; ++i) {
    const UsedTicket one = ticket(std::to_string(i), "backend:b", Duration{1 + static_cast<long>(i)});
    ASSERT_EQ(book.put(one).forgotten, "");
  }
  EXPECT_EQ(book.put(ticket("one more", "user:ana")).forgotten, "0");
  EXPECT_TRUE(book.knows("one more"));
}

TEST(TicketBook, ForgetsAUserWhoIsErased) {
  TicketBook book;
  book.put(ticket("a", "user:ana"));
  book.put(ticket("b", "user:ana", Duration{5}));
  book.put(ticket("c", "user:anabel"));
  book.forget_of("user:ana");
  book.forget_of("user:nobody");
  EXPECT_FALSE(book.knows("a"));
  EXPECT_FALSE(book.knows("b"));
  EXPECT_TRUE(book.knows("c"));
}

TEST(TicketBook, IsLoadedAsItWasKept) {
  TicketBook book;
  const std::vector<UsedTicket> kept{ticket("a", "user:ana"), ticket("b", "backend:b")};
  book.load(kept);
  EXPECT_TRUE(book.knows("a"));
  EXPECT_TRUE(book.knows("b"));
}

}  // namespace
}  // namespace belfry
