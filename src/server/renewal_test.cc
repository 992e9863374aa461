// A renewal and a revocation on their way to a shard: whichever is there first, what was taken back is over.

#include "hub/hub_fixture.h"
#include "server/threads.h"

namespace belfry {
namespace {

struct Renewals : HubTest {
  static constexpr std::uint64_t ticket = 7;
  Keyring keyring;

  Renewals() {
    Attach wish;
    wish.selectors = {{"a", {}}};
    wish.credential = credential_of(ana_with("first"));
    wish.ticket = ticket;
    wish.expires = Timestamp{Duration::max()};
    shard->attach(ana, wish, clock.now());
    turn();
    ana.story.clear();
  }
  static Principal ana_with(std::string token_id) {
    Principal principal{"user:ana", "ana", Rights{{"#"}, {}}, std::nullopt};
    principal.token_id = std::move(token_id);
    return principal;
  }
  // As the log-writer tells it: the keyring first, then each shard.
  void revoke(std::string token_id) {
    const Revocation revocation{{}, std::move(token_id), clock.wall(), Timestamp{Duration::max()}};
    keyring.revoke(revocation);
    shard->revoke(revocation, clock.wall());
  }
  void renew(std::string token_id) {
    ShardThread::renew_if_it_stands(*shard, keyring, clock.wall(), ticket, ana_with(std::move(token_id)));
  }
};

TEST_F(Renewals, ARevocationThatIsThereFirstIsNotPassedBy) {
  revoke("second");
  EXPECT_EQ(shard->sessions(), 1u) << "it is of the first yet";
  renew("second");
  EXPECT_EQ(shard->sessions(), 0u);
  EXPECT_EQ(ana.story, "end:replaced ");
}

TEST_F(Renewals, ARevocationThatComesLaterFindsTheNewToken) {
  renew("second");
  revoke("first");
  publish("a");
  turn();
  EXPECT_EQ(ana.story, "1 ") << "it goes on without the first";
  revoke("second");
  EXPECT_EQ(shard->sessions(), 0u);
  EXPECT_EQ(ana.story, "1 end:token_revoked ");
}

}  // namespace
}  // namespace belfry
