#include "model/rights.h"

#include <gtest/gtest.h>

namespace belfry {
namespace {

TEST(Rights, AUserWithoutAClaimHearsOnlyTheOwnTopic) {
  const Rights rights = default_rights("auth0|ana");
  EXPECT_TRUE(authorize(rights, Act::subscribe, "users/auth0%7Cana"));
  for (const char* other :
       {"users/bob", "users/+", "users/#", "#", "users/auth0%7Cana/x", "users/auth0%7Cana/#"})
    EXPECT_EQ(authorize(rights, Act::subscribe, other).error().code, Code::forbidden) << other;
  EXPECT_FALSE(authorize(rights, Act::publish, "users/auth0%7Cana"));
}

TEST(Rights, OneGrantMustCoverThePatternWhole) {
  const Rights rights{{"bookings/+", "teams/ops/#"}, {"chat/+"}};
  EXPECT_TRUE(authorize(rights, Act::subscribe, "bookings/7"));
  EXPECT_TRUE(authorize(rights, Act::subscribe, "bookings/+"));
  EXPECT_TRUE(authorize(rights, Act::subscribe, "teams/ops"));
  EXPECT_FALSE(authorize(rights, Act::subscribe, "bookings/#"));
  EXPECT_FALSE(authorize(rights, Act::subscribe, "+/7"));
  EXPECT_FALSE(authorize(rights, Act::subscribe, "chat/1"));
  EXPECT_TRUE(authorize(rights, Act::publish, "chat/1"));
  EXPECT_FALSE(authorize(rights, Act::publish, "bookings/7"));
}

}  // namespace
}  // namespace belfry
