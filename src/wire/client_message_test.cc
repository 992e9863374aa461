#include "wire/client_message.h"

#include <gtest/gtest.h>

namespace belfry::wire {
namespace {

TEST(ClientMessage, GoodOnes) {
  const auto connect = parse_client_message(
      R"({"action":"connect","token":"t","since":"now","topics":["a"],"types":["x"]})");
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect.value().token, "t");
  EXPECT_EQ(connect.value().topics, std::vector<std::string>{"a"});
  const auto subscribe = parse_client_message(R"({"action":"subscribe","topics":["a/+"],"id":"1"})");
  ASSERT_TRUE(subscribe);
  EXPECT_EQ(subscribe.value().id, "1");
  EXPECT_TRUE(parse_client_message(R"({"action":"ping"})"));
  const auto publish = parse_client_message(R"({"action":"publish","events":[],"idempotency_key":"é ~"})");
  ASSERT_TRUE(publish);
  EXPECT_EQ(publish.value().idempotency_key, "é ~");
}

TEST(ClientMessage, BadOnes) {
  const std::vector<std::tuple<std::string, Code, std::string>> table{
      {"", Code::bad_json, ""},
      {"[]", Code::wrong_type, ""},
      {"{}", Code::missing_field, "action"},
      {R"({"action":"dance"})", Code::bad_parameter, "action"},
      {R"({"action":1})", Code::wrong_type, "action"},
      {R"({"action":"ping","colour":1})", Code::unknown_field, "colour"},
      {R"({"action":"ping","topics":["a"]})", Code::unknown_field, "topics"},
      {R"({"action":"renew"})", Code::unauthenticated, "token"},
      {R"({"action":"subscribe"})", Code::missing_field, "topics"},
      {R"({"action":"subscribe","topics":"a"})", Code::wrong_type, "topics"},
      {R"({"action":"subscribe","topics":[1]})", Code::wrong_type, "topics"},
      {R"({"action":"subscribe","topics":["a"],"id":")" + std::string(65, 'i') + "\"}", Code::bad_parameter,
       "id"},
      {R"({"action":"publish","events":[],"idempotency_key":"s\nd1"})", Code::bad_parameter,
       "idempotency_key"},
      {R"({"action":"publish","events":[],"idempotency_key":"\u007f"})", Code::bad_parameter,
       "idempotency_key"},
      {R"({"action":"ping","id":"1","id":"2"})", Code::bad_request, "id"},
  };
  for (const auto& [text, code, field] : table) {
    const auto parsed = parse_client_message(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(info(parsed.error().code).name, info(code).name) << text;
    EXPECT_EQ(parsed.error().field, field) << text;
  }
}

TEST(ClientMessage, Answers) {
  EXPECT_EQ(control_subscribed({"a", "b"}, "c.1", "7"),
            R"({"control":"subscribed","topics":["a","b"],"cursor":"c.1","id":"7"})");
  EXPECT_EQ(control_pong({}), R"({"control":"pong"})");
}

}  // namespace
}  // namespace belfry::wire
