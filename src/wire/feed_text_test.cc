#include "wire/feed_text.h"

#include <gtest/gtest.h>

namespace belfry::wire {
namespace {

constexpr std::string_view kId = "00000000000000ff.12";

TEST(FeedText, AMarkNamesIdsOrAPlace) {
  const auto ids = parse_mark_body(R"({"mark":"archived","ids":["00000000000000ff.12"]})");
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids.value().mark, Mark::archived);
  EXPECT_EQ(ids.value().ids, (std::vector<Cursor>{{Epoch{255}, 12}}));
  const auto upto = parse_mark_body(R"({"mark":"read","upto":"00000000000000ff.12"})");
  ASSERT_TRUE(upto);
  EXPECT_EQ(to_text(*upto.value().upto), kId);
}

TEST(FeedText, ABadMarkIsNamed) {
  const struct {
    std::string_view body;
    Code code;
    std::string_view field;
  } table[] = {
      {R"({"ids":["00000000000000ff.12"]})", Code::missing_field, "mark"},
      {R"({"mark":"read"})", Code::missing_field, "ids"},
      {R"({"mark":"read","ids":[]})", Code::bad_parameter, "ids"},
      {R"({"mark":"read","ids":["x"]})", Code::bad_cursor, "ids[0]"},
      {R"({"mark":"read","ids":["00000000000000ff.12"],"upto":"00000000000000ff.12"})", Code::missing_field,
       "ids"},
      {R"({"mark":"liked","upto":"00000000000000ff.12"})", Code::bad_parameter, "mark"},
      {R"({"mark":"read","upto":7})", Code::wrong_type, "upto"},
      {R"({"mark":"read","upto":"00000000000000ff.12","x":1})", Code::unknown_field, "x"},
      {R"({"mark":"read","mark":"read"})", Code::bad_request, "mark"},
      {R"([])", Code::wrong_type, ""},
      {R"({)", Code::bad_json, ""},
  };
  for (const auto& row : table) {
    const auto parsed = parse_mark_body(row.body);
    ASSERT_FALSE(parsed) << row.body;
    EXPECT_EQ(parsed.error().code, row.code) << row.body;
    EXPECT_EQ(parsed.error().field, row.field) << row.body;
  }
}

TEST(FeedText, ARevocationIsOfAllSoFarUnlessItSaysFromWhen) {
  const Timestamp now{Duration{1'790'000'000'000}};
  const auto all = parse_revocation_body(R"({"user":"ana"})", now);
  ASSERT_TRUE(all);
  EXPECT_TRUE(all.value().so_far);
  EXPECT_EQ(all.value().revocation.not_before, now);
  const auto some = parse_revocation_body(R"({"user":"ana","not_before":"2026-01-01T00:00:00Z"})", now);
  ASSERT_TRUE(some);
  EXPECT_FALSE(some.value().so_far);
  EXPECT_EQ(some.value().revocation.not_before, Timestamp{limits::clock_earliest});
}

TEST(FeedText, AChangeOfTheFeedIsReadBack) {
  Event event;
  event.type = std::string(follow_type);
  event.data = topic_data("teams/ops");
  auto change = feed_change_of(event);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->kind, FeedChange::Kind::follow);
  EXPECT_EQ(change->topic, "teams/ops");
  const Mutes mutes{{"teams/+"}, {"sale.#"}};
  event.type = std::string(mutes_type);
  event.data = mutes_data(mutes);
  change = feed_change_of(event);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->mutes, mutes);
  event.type = "message";
  EXPECT_FALSE(feed_change_of(event));
}

TEST(FeedText, APageTellsTheStateOfEachItem) {
  Event event;
  event.epoch = Epoch{255};
  event.offset = 12;
  event.seq = 3;
  event.topic = "users/ana";
  event.notification = R"({"title":"Hi"})";
  const FeedLine line{&event, {true, false, false}};
  EXPECT_EQ(
      feed_page({&line, 1}, {4, 2}, kId, {}),
      R"({"notifications":[{"id":"00000000000000ff.12","topic":"users/ana","seq":3,"type":"message",)"
      R"("time":"1970-01-01T00:00:00.000Z","notification":{"title":"Hi"},"seen":true,"read":false,)"
      R"("archived":false}],"counts":{"unread":4,"unseen":2},"cursor":"00000000000000ff.12","next":null})");
}

}  // namespace
}  // namespace belfry::wire
