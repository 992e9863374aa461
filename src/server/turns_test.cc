// In whose turn a request waits for the log-writer, and what it costs.
#include <gtest/gtest.h>

#include "server/threads.h"

namespace belfry {
namespace {

PublishRequest publish_of(std::string principal) {
  PublishRequest request;
  request.principal = std::move(principal);
  request.events.resize(1);
  request.events[0].topic = "a";
  return request;
}
PublishRequest erase_of(std::string principal, std::string user) {
  PublishRequest request;
  request.principal = std::move(principal);
  request.command = EraseCommand{std::move(user)};
  return request;
}

// Each has a group of its own, however little it takes out.
TEST(Turns, WhatABackendPublishesDoesNotWaitBehindWhatItErases) {
  FairMailbox<PublishJob> mailbox(1000);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(push_publish(mailbox, erase_of("backend:x", "u" + std::to_string(i)), 0, 0));
  const int publishes = 50;
  for (int i = 0; i < publishes; ++i) ASSERT_TRUE(push_publish(mailbox, publish_of("backend:x"), 0, 0));
  std::string order;
  while (auto popped = mailbox.pop()) order += popped->item.request.command ? 'e' : 'p';
  EXPECT_EQ(order.find_last_of('p'), static_cast<std::size_t>(publishes)) << order;
}

TEST(Turns, OneBackendsErasuresAreDoneInTheirOrder) {
  FairMailbox<PublishJob> mailbox(1000);
  for (const char* user : {"ana", "bob", "ana"})
    ASSERT_TRUE(push_publish(mailbox, erase_of("backend:x", user), 0, 0));
  std::string order;
  while (auto popped = mailbox.pop())
    order += std::get<EraseCommand>(*popped->item.request.command).user + ' ';
  EXPECT_EQ(order, "ana bob ana ");
}

}  // namespace
}  // namespace belfry
