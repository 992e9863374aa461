// Sessions end with what let them in, and only they.

#include "hub/hub_fixture.h"

namespace belfry {
namespace {

TEST_F(HubTest, AStreamEndsWhenItsTokenExpires) {
  Attach wish{{{"a", {}}}, 0, false, {}, clock.wall() + Duration{1000}};
  shard->attach(ana, wish, clock.now());
  turn();
  clock.advance(Duration{999});
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(shard->sessions(), 1u);
  clock.advance(Duration{1});
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(shard->sessions(), 0u);
  EXPECT_EQ(ana.story, "live@0 end:token_expired ");
}

TEST_F(HubTest, AKeyThatIsGoneTakesItsSessionsWithIt) {
  Recorder bob;
  Attach wish;
  wish.selectors = {{"a", {}}};
  wish.credential.key = 7;
  shard->attach(ana, wish, clock.now());
  wish.credential.key = 8;
  shard->attach(bob, wish, clock.now());
  turn();
  shard->end_keys({7, 9});
  publish("a");
  turn();
  EXPECT_EQ(ana.story, "live@0 end:token_revoked ");
  EXPECT_EQ(bob.story, "live@0 1 ");
}

TEST_F(HubTest, ARenewedTicketChangesItsOwnStreamOnly) {
  Recorder bob;
  Attach wish;
  wish.selectors = {{"a", {}}, {"b", {}}};
  wish.ticket = 7;
  shard->attach(ana, wish, clock.now());
  wish.ticket = 8;
  shard->attach(bob, wish, clock.now());
  turn();
  shard->renew_ticket(7, {"ana", {}, Rights{{"b"}, {}}, clock.wall() + limits::tick_interval});
  publish("a");
  publish("b");
  turn();
  EXPECT_EQ(ana.story, "live@0 2 ") << "the new token does not grant a";
  EXPECT_EQ(bob.story, "live@0 1 2 ");
  clock.advance(2 * limits::tick_interval);
  shard->tick(clock.now(), clock.wall());
  EXPECT_EQ(ana.story, "live@0 2 end:token_expired ");
  EXPECT_EQ(bob.story, "live@0 1 2 ");
}

TEST_F(HubTest, ATicketEndsTheStreamThatItOpenedNotOneThatComesInItsPlace) {
  Recorder bob;
  Recorder eve;
  Attach wish;
  wish.selectors = {{"a", {}}};
  wish.ticket = 7;
  shard->detach(shard->attach(ana, wish, clock.now()));
  wish.ticket = 0;
  shard->attach(bob, wish, clock.now());
  wish.ticket = 8;
  shard->attach(eve, wish, clock.now());
  turn();
  shard->end_ticket(7);
  shard->renew_ticket(8, {"eve", {}, Rights{{"a"}, {}}, clock.wall() + limits::tick_interval});
  shard->end_ticket(8);
  publish("a");
  turn();
  EXPECT_EQ(ana.story, "");
  EXPECT_EQ(bob.story, "live@0 1 ");
  EXPECT_EQ(eve.story, "live@0 end:replaced ");
}

}  // namespace
}  // namespace belfry
