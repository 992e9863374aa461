#include "wire/publish_body.h"

#include <gtest/gtest.h>

#include "wire/event_frame.h"
#include "wire/json_text.h"

namespace belfry::wire {
namespace {

struct Bad {
  std::string body;
  Code code;
  std::string field;
};

TEST(PublishBody, RefusesEachBadInputWithItsCodeAndField) {
  const std::string deep = R"({"topic":"a","data":)" + std::string(40, '[') + std::string(40, ']') + "}";
  const std::string large = R"({"topic":"a","data":")" + std::string(70'000, 'x') + "\"}";
  std::string many = "[";
  for (int i = 0; i < 1001; ++i) many += R"({"topic":"a"},)";
  many.back() = ']';
  const std::vector<Bad> table{
      {"", Code::bad_json, ""},
      {"{", Code::bad_json, ""},
      {R"({"topic":"a"} x)", Code::bad_json, ""},
      {R"({"topic":'a'})", Code::bad_json, ""},
      {R"({"topic":"a","data":01})", Code::bad_json, ""},
      {R"({"topic":"a","data":1e999})", Code::bad_json, ""},
      {R"("a")", Code::wrong_type, ""},
      {"[]", Code::batch_empty, ""},
      {many, Code::batch_too_large, ""},
      {deep, Code::too_deep, ""},
      {std::string(1'000'000, '['), Code::bad_json, ""},  // unclosed, which is found first
      {large, Code::event_too_large, ""},
      {"{\"topic\":\"a\",\"data\":\"\xff\"}", Code::bad_utf8, ""},
      {R"({"topic":"a","data":"\udc00"})", Code::bad_json, ""},
      {R"({"topic":"a","key":"\udc00"})", Code::bad_json, ""},
      {R"({"topic":"a","data":["\ud800"]})", Code::bad_json, ""},
      {R"({"topic":"a","data":1 2})", Code::bad_json, ""},
      {R"({"data":1})", Code::missing_field, "topic"},
      {R"({"topic":"a","colour":1})", Code::unknown_field, "colour"},
      {R"({"topic":"a","topic":"b"})", Code::bad_request, "topic"},
      {R"({"topic":7})", Code::wrong_type, "topic"},
      {R"({"topic":"a/"})", Code::bad_topic, "topic"},
      {R"({"topic":"a/+"})", Code::bad_topic, "topic"},
      {R"({"topic":"a","type":"error"})", Code::bad_type, "type"},
      {R"({"topic":"a","type":"a b"})", Code::bad_type, "type"},
      {R"({"topic":"a","expires":"soon"})", Code::bad_parameter, "expires"},
      {R"({"topic":"a","notification":"x"})", Code::wrong_type, "notification"},
      {R"({"topic":"a","notification":{}})", Code::missing_field, "notification.title"},
      {R"({"topic":"a","notification":{"title":"x","colour":1}})", Code::unknown_field,
       "notification.colour"},
      {R"({"topic":"a","notification":{"title":"x","priority":"urgent"}})", Code::bad_parameter,
       "notification.priority"},
      {R"({"topic":"a","notification":{"title":"x","actions":[{"id":"1"}]}})", Code::missing_field,
       "notification.actions"},
      {R"({"topic":"a","type":"refresh"})", Code::missing_field, "keys"},
      {R"({"topic":"a","type":"refresh","keys":[["x"]],"data":1})", Code::bad_parameter, "data"},
      {R"({"topic":"a","type":"refresh","keys":["x"]})", Code::wrong_type, "keys"},
      {R"({"topic":"a","type":"refresh","keys":[["x"]],"spread_ms":-1})", Code::bad_parameter, "spread_ms"},
      {R"({"topic":"a","keys":[["x"]]})", Code::bad_parameter, "keys"},
      {R"([{"topic":"a"},{"topic":"a/"}])", Code::bad_topic, "events[1].topic"},
      {R"([{"topic":"a"},7])", Code::wrong_type, "events[1]"},
      {"{\"topic\":\"a\",\"key\":\"" + std::string(129, 'k') + "\"}", Code::bad_parameter, "key"},
  };
  for (const auto& row : table) {
    const auto parsed = parse_publish_body(row.body, BodyForm::json);
    ASSERT_FALSE(parsed) << row.body.substr(0, 100);
    EXPECT_EQ(info(parsed.error().code).name, info(row.code).name) << row.body.substr(0, 100);
    EXPECT_EQ(parsed.error().field, row.field) << row.body.substr(0, 100);
  }
}

TEST(PublishBody, KeepsWhatWasSent) {
  const auto parsed = parse_publish_body(
      R"({ "topic" : "a/b", "type":"x.y", "data" : { "n" : [ 1, -2.5, "a b\n\"" , null ] , "ü":true },
           "key":"k", "expires":"2030-01-01T00:00:00Z", "notification":{"title":"Hi","priority":"high"} })",
      BodyForm::json);
  ASSERT_TRUE(parsed) << parsed.error().text();
  const Event& event = parsed.value().events.at(0);
  EXPECT_EQ(event.topic, "a/b");
  EXPECT_EQ(event.type, "x.y");
  EXPECT_EQ(event.data, R"({"n":[1,-2.5,"a b\n\"",null],"ü":true})");
  EXPECT_EQ(event.key, "k");
  EXPECT_EQ(format_rfc3339(*event.expires), "2030-01-01T00:00:00.000Z");
  EXPECT_EQ(event.notification, R"({"title":"Hi","priority":"high"})");
}

TEST(PublishBody, RefreshEventsAndLines) {
  const auto refresh = parse_publish_body(
      R"({"topic":"a","type":"refresh","keys":[["bookings"],["booking",7]],"spread_ms":2000})",
      BodyForm::json);
  ASSERT_TRUE(refresh) << refresh.error().text();
  EXPECT_EQ(refresh.value().events[0].keys, R"([["bookings"],["booking",7]])");
  const auto lines = parse_publish_body("{\"topic\":\"a\"}\n\r\n{\"topic\":\"b\"}\n", BodyForm::json_lines);
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines.value().events.size(), 2u);
  const auto bad = parse_publish_body("{\"topic\":\"a\"}\nnonsense\n", BodyForm::json_lines);
  EXPECT_EQ(bad.error().field, "events[1]");
}

TEST(AppendMinified, TakesOutBlanksBetweenTextsAndNoneWithin) {
  const auto minified = [](std::string_view json) {
    std::string out = "<";
    append_minified(out, json);
    return out;
  };
  EXPECT_EQ(minified(""), "<");
  EXPECT_EQ(minified(" \t\r\n"), "<");
  EXPECT_EQ(minified(" [ 1 ,\n2 ] "), "<[1,2]");
  EXPECT_EQ(minified(R"({ "a b" : "c \" d" , "e\\" : "\\" , "f" :null })"),
            R"(<{"a b":"c \" d","e\\":"\\","f":null})");
}

}  // namespace
}  // namespace belfry::wire
