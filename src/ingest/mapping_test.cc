#include "ingest/mapping.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace belfry::ingest {
namespace {

namespace json = boost::json;

const json::value record = json::parse(R"({
  "op": "update", "id": "a/b", "topic": "x/y z", "zero": 0, "no": false, "empty": "", "null": null,
  "before": {"total": "90.00", "state": "new"}, "after": {"total": "110.00", "state": "paid", "n": 7},
  "items": [{"name": "first"}], "headers": {"content type": "json"}, "big": 9007199254740993,
  "half": 31.5, "list": [1e30, {"a": "\"b"}, [], {}]})");

std::string rendered(std::string_view text, Template::Use use = Template::Use::text) {
  const auto parsed = Template::parse(text);
  if (!parsed) return "! " + parsed.error().detail;
  const auto done = parsed.value().render(record, use);
  return done ? done.value() : "? " + done.error().detail;
}

TEST(TemplateTest, PutsInWhatStandsThere) {
  EXPECT_EQ(rendered("plain"), "plain");
  EXPECT_EQ(rendered("{after.n} and {items.0.name}"), "7 and first");
  EXPECT_EQ(rendered("{headers['content type']}"), "json");
  EXPECT_EQ(rendered("{before}"), R"({"total":"90.00","state":"new"})");
  EXPECT_EQ(rendered("{{{op}}}"), "{update}");
  EXPECT_EQ(rendered("{no}{zero}{big}"), "false09007199254740993");
  EXPECT_EQ(rendered("{half} {list}"), R"(31.5 [1e+30,{"a":"\"b"},[],{}])");
  EXPECT_EQ(rendered("{after.gone ?? 'none'}{null ?? 'nothing'}"), "nonenothing");
  EXPECT_EQ(rendered("{after.gone}"), "? The record has no after.gone.");
  EXPECT_EQ(rendered("{items.1.name}"), "? The record has no items.1.name.");
}

TEST(TemplateTest, EscapesInTopics) {
  EXPECT_EQ(rendered("bookings/{id}", Template::Use::topic), "bookings/a%2Fb");
  EXPECT_EQ(rendered("{topic|path}", Template::Use::topic), "x/y%20z");
  EXPECT_EQ(rendered("x/{empty}", Template::Use::topic), "? empty is empty, and stands in a topic.");
}

TEST(TemplateTest, SaysWhatIsWrong) {
  EXPECT_EQ(rendered("{after.n"), "! A brace ({) is not closed. A plain one is {{.");
  EXPECT_EQ(rendered("a}"), "! A brace (}) has no beginning. A plain one is }}.");
  EXPECT_EQ(rendered("{}"), "! A name such as after.id is expected.");
  EXPECT_EQ(rendered("{a|upper}"), "! After | comes path.");
  EXPECT_EQ(rendered("{a ?? b}"), "! After ?? comes a text in quotes (').");
  EXPECT_EQ(rendered("{a['b}"), "! A quote (') is not closed.");
}

bool holds(std::string_view text) {
  const auto parsed = Condition::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error().detail);
  return parsed && parsed.value().holds(record);
}

TEST(ConditionTest, Compares) {
  EXPECT_TRUE(holds("op == 'update' and before.state != 'paid' and after.state == 'paid'"));
  EXPECT_TRUE(holds("after.total > 100 and before.total <= 100"));  // databases write numeric as text
  EXPECT_TRUE(holds("op in ('insert', 'update')"));
  EXPECT_FALSE(holds("op in ('insert', 'delete')"));
  EXPECT_TRUE(holds("not (op == 'insert' or op == 'delete')"));
  EXPECT_TRUE(holds("op == 'insert' and no or after.n == 7"));
  EXPECT_FALSE(holds("op == 'insert' and (no or after.n == 7)"));
  EXPECT_TRUE(holds("'b' > 'a' and '10' < '9'"));  // two texts are compared as texts
  EXPECT_TRUE(holds("-1 < zero"));
}

TEST(ConditionTest, KnowsWhatIsNotThere) {
  EXPECT_TRUE(holds("gone == null and null == null and op != null"));
  EXPECT_FALSE(holds("gone < 1 or gone > 1 or gone >= 'a'"));
  EXPECT_FALSE(holds("gone or zero or no or empty"));
  EXPECT_TRUE(holds("after and items.0 and not gone"));
}

TEST(ConditionTest, SaysWhatIsWrongAndWhere) {
  const auto wrong = [](std::string_view text) {
    const auto parsed = Condition::parse(text);
    return parsed ? std::string("good") : parsed.error().detail;
  };
  EXPECT_EQ(wrong("a = 1"), "To compare, write ==. (at character 3)");
  EXPECT_EQ(wrong("a == "), "A name, a number or a text in quotes (') is expected. (at character 6)");
  EXPECT_EQ(wrong("a == 1 b"), "Something is left over. (at character 8)");
  EXPECT_EQ(wrong("(a"), "A bracket is not closed. (at character 3)");
  EXPECT_EQ(wrong("a in 1"), "After in comes a list in brackets. (at character 6)");
  EXPECT_EQ(wrong(std::string(100, '(')), "It is nested too deeply. (at character 34)");
}

MappingRule rule() {
  MappingRule out;
  out.topic = "bookings/{after.n}";
  out.type = "booking.{after.state}";
  return out;
}

TEST(MappingTest, EveryRuleThatHoldsMakesAnEvent) {
  MappingRule first = rule(), second = rule(), third = rule();
  first.data =
      R"({"total": "{after.total}", "n": "{after.n}", "text": "n={after.n}", "gone": "{gone}",
          "k": [1, true]})";
  first.notification = R"({"title": "{after.state}"})";
  first.key = "k{after.n}";
  second.when = "op == 'insert'";
  third.type = "refresh";
  third.keys = R"([["bookings"], ["booking", "{after.n}"]])";
  third.spread_ms = 500;
  third.version = "{big}";
  const auto mapping = Mapping::make({first, second, third});
  ASSERT_TRUE(mapping) << mapping.error().text();
  const auto events = mapping.value().events(record);
  ASSERT_TRUE(events) << events.error().text();
  ASSERT_EQ(events.value().size(), 2u);
  EXPECT_EQ(events.value()[0].topic, "bookings/7");
  EXPECT_EQ(events.value()[0].type, "booking.paid");
  EXPECT_EQ(events.value()[0].data, R"({"total":"110.00","n":7,"text":"n=7","gone":null,"k":[1,true]})");
  EXPECT_EQ(events.value()[0].notification, R"({"title":"paid"})");
  EXPECT_EQ(events.value()[0].key, "k7");
  EXPECT_EQ(events.value()[1].keys, R"([["bookings"],["booking",7]])");
  EXPECT_EQ(events.value()[1].spread_ms, 500u);
  EXPECT_EQ(events.value()[1].version, "9007199254740993");
}

TEST(MappingTest, SaysWhichRuleFails) {
  MappingRule bad = rule();
  bad.topic = "bookings/{gone}";
  const auto events = Mapping::make({rule(), bad}).value().events(record);
  ASSERT_FALSE(events);
  EXPECT_EQ(events.error().field, "map[1].topic.gone");
  bad.topic = "bookings/{";
  EXPECT_EQ(Mapping::make({rule(), bad}).error().field, "map[1].topic");
  bad = rule();
  bad.data = R"({"a": ["{x"]})";
  EXPECT_EQ(Mapping::make({bad}).error().field, "map[0].data");
  bad = rule();
  bad.when = "(";
  EXPECT_EQ(Mapping::make({bad}).error().field, "map[0].when");
  bad = rule();
  bad.type = "belfry.mark";
  EXPECT_EQ(Mapping::make({bad}).value().events(record).error().code, Code::bad_type)
      << "what Belfry itself says cannot be said by a source";
}

TEST(MappingTest, WithoutRulesARecordIsAPublishBodyOrACloudEvent) {
  const auto events = Mapping::publish_body("value").events(
      json::parse(R"({"value": [{"topic": "a"}, {"topic": "b", "data": 1}]})"));
  ASSERT_TRUE(events);
  EXPECT_EQ(events.value().size(), 2u);
  EXPECT_EQ(Mapping::publish_body("value").events(record).error().code, Code::missing_field);
  EXPECT_FALSE(Mapping::publish_body("value").events(
      json::parse(R"({"value": {"topic": "a", "deliver_at": "2030-01-01T00:00:00Z"}})")));
  const auto cloud = Mapping::cloud_event("event").events(json::parse(
      R"({"event": {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "subject": "a/b"}})"));
  ASSERT_TRUE(cloud);
  EXPECT_EQ(cloud.value()[0].topic, "a/b");
}

}  // namespace
}  // namespace belfry::ingest
