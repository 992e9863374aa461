#include "wire/cloud_event.h"

#include <gtest/gtest.h>

namespace belfry::wire {
namespace {

TEST(CloudEvent, StructuredIsReadWhole) {
  const auto parsed = parse_cloud_event(
      R"({"specversion":"1.0","id":"A1","source":"/shop","type":"order.paid","subject":"users/ana",)"
      R"("time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","traceparent":"00-x",)"
      R"("expirytime":"2030-01-01T00:00:00Z","notification":{"title":"Paid"},"data":{ "a" : 1 }})");
  ASSERT_TRUE(parsed) << parsed.error().text();
  const Event& event = parsed.value().events.at(0);
  EXPECT_EQ(event.topic, "users/ana");
  EXPECT_EQ(event.type, "order.paid");
  EXPECT_EQ(event.data, R"({"a":1})");
  EXPECT_EQ(event.notification, R"({"title":"Paid"})");
  EXPECT_TRUE(event.expires);
  EXPECT_EQ(parsed.value().keys.at(0), "/shop\nA1");
}

TEST(CloudEvent, BinaryIsHeadersAndData) {
  const auto header = [](std::string_view name) -> std::optional<std::string_view> {
    if (name == "ce-specversion") return "1.0";
    if (name == "ce-id") return "7";
    if (name == "ce-source") return "s";
    if (name == "ce-type") return "t";
    if (name == "ce-subject") return "a/b";
    if (name == "ce-notification") return R"({"title":"x"})";
    if (name == "content-type") return "text/plain; charset=utf-8";
    return std::nullopt;
  };
  const auto parsed = parse_cloud_binary(header, "hello");
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_EQ(parsed.value().events[0].data, "\"hello\"");
  EXPECT_EQ(parsed.value().events[0].notification, R"({"title":"x"})");
}

TEST(CloudEvent, BadOnesAreNamed) {
  const struct {
    std::string_view body;
    Code code;
    std::string_view field;
  } table[] = {
      {R"({"id":"1","source":"s","type":"t","subject":"a"})", Code::missing_field, "specversion"},
      {R"({"specversion":"0.3","id":"1","source":"s","type":"t","subject":"a"})", Code::bad_parameter,
       "specversion"},
      {R"({"specversion":"1.0","source":"s","type":"t","subject":"a"})", Code::missing_field, "id"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":"t"})", Code::missing_field, "subject"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":"t","subject":"a//b"})", Code::bad_topic,
       "subject"},
      {R"({"specversion":"1.0","id":1,"source":"s","type":"t","subject":"a"})", Code::wrong_type, "id"},
      {R"({"specversion":"1.0","id":"b\nc","source":"a","type":"t","subject":"a"})", Code::bad_parameter,
       "id"},
      {R"({"specversion":"1.0","id":"c","source":"a\nb","type":"t","subject":"a"})", Code::bad_parameter,
       "source"},
      {R"({"specversion":"1.0","id":"1","id":"2","source":"s","type":"t","subject":"a"})",
       Code::bad_request, "id"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":"belfry.mark","subject":"a"})", Code::bad_type,
       "type"},
      {R"([])", Code::wrong_type, ""},
  };
  for (const auto& row : table) {
    const auto parsed = parse_cloud_event(row.body);
    ASSERT_FALSE(parsed) << row.body;
    EXPECT_EQ(parsed.error().code, row.code) << row.body;
    EXPECT_EQ(parsed.error().field, row.field) << row.body;
  }
  const auto batch =
      parse_cloud_batch(R"([{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"a"},{}])");
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().field, "events[1].specversion");
}

TEST(CloudEvent, WhatGoesOutComesIn) {
  Event event;
  event.epoch = Epoch{1};
  event.offset = 5;
  event.seq = 2;
  event.topic = "t";
  event.type = "a";
  event.data = R"({"x":[1,"é"]})";
  event.key = "k";
  event.notification = R"({"title":"q\"q"})";
  const auto again = parse_cloud_event(cloud_event(event));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again.value().events[0].data, event.data);
  EXPECT_EQ(again.value().events[0].key, event.key);
  EXPECT_EQ(again.value().events[0].notification, event.notification);
  EXPECT_EQ(again.value().keys[0], "belfry\n0000000000000001.5");
}

}  // namespace
}  // namespace belfry::wire
