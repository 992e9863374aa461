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

TEST(Rights, ARevocationConcernsWhatWasIssuedBeforeItWhateverItsDateSays) {
  const Timestamp now{Duration{1'790'000'000'000}};
  const Revocation of_ana{"ana", {}, now + Duration{-1000}, {}};
  const auto is_concerned = [&](const std::string& user, Timestamp issued) {
    Principal principal{"user:" + user, user, {}, std::nullopt};
    principal.issued = issued;
    return concerns(of_ana, credential_of(principal), now);
  };
  EXPECT_TRUE(is_concerned("ana", of_ana.not_before));
  EXPECT_FALSE(is_concerned("ana", of_ana.not_before + Duration{1}));
  EXPECT_FALSE(is_concerned("ana", now + limits::token_skew)) << "an issuer's clock may be ahead a little";
  EXPECT_TRUE(is_concerned("ana", now + limits::token_skew + Duration{1}));
  EXPECT_FALSE(is_concerned("bob", now + std::chrono::hours(1)));
}

}  // namespace
}  // namespace belfry
