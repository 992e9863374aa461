#include "wire/event_frame.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>

namespace belfry::wire {
namespace {

struct Dispatched {
  std::string type, data, id;
};

// The event stream interpretation of WHATWG HTML section 9.2.6, step by step and without a shortcut.
std::vector<Dispatched> interpret(const std::string& stream) {
  std::vector<Dispatched> out;
  std::string data, type, id;
  std::size_t at = 0;
  while (at < stream.size()) {
    std::size_t end = stream.find_first_of("\r\n", at);
    if (end == std::string::npos) break;
    const std::string line = stream.substr(at, end - at);
    at = end + (stream.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    if (line.empty()) {
      if (!data.empty()) {
        data.pop_back();
        out.push_back({type.empty() ? "message" : type, data, id});
      }
      data.clear();
      type.clear();
      continue;
    }
    if (line[0] == ':') continue;
    const auto colon = line.find(':');
    const std::string field = line.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    if (field == "event") type = value;
    if (field == "data") data += value + '\n';
    if (field == "id" && value.find('\0') == std::string::npos) id = value;
  }
  return out;
}

Event sample() {
  Event event;
  event.epoch = Epoch{0xabc};
  event.offset = 42;
  event.seq = 3;
  event.time = Timestamp{Duration{1'790'000'000'123}};
  event.topic = "bookings/7";
  event.type = "booking.confirmed";
  event.data = R"({"a":1})";
  return event;
}

TEST(Envelope, HoldsWhatIsThereAndNothingElse) {
  EXPECT_EQ(envelope(sample()),
            R"({"id":"0000000000000abc.42","topic":"bookings/7","seq":3,"type":"booking.confirmed",)"
            R"("time":"2026-09-21T14:13:20.123Z","data":{"a":1}})");
  Event ephemeral = sample();
  ephemeral.offset = 0;
  const auto parsed = boost::json::parse(envelope(ephemeral)).as_object();
  EXPECT_FALSE(parsed.contains("id"));
  EXPECT_FALSE(parsed.contains("seq"));
  EXPECT_EQ(sse_frame(ephemeral).find("id:"), std::string::npos);
}

TEST(Sse, OneEventOneDispatch) {
  const auto dispatched = interpret(sse_frame(sample()));
  ASSERT_EQ(dispatched.size(), 1u);
  EXPECT_EQ(dispatched[0].type, "booking.confirmed");
  EXPECT_EQ(dispatched[0].id, "0000000000000abc.42");
  EXPECT_EQ(dispatched[0].data, envelope(sample()));
  EXPECT_EQ(interpret(sse_message_frame(sample()))[0].type, "message");
}

TEST(Sse, HeartbeatsMoveTheIdAndDispatchNothing) {
  const std::string stream =
      sse_begin({"e.1", "ana", 20000, 700, 5000}) + sse_heartbeat("e.7", 3) + sse_frame(sample());
  EXPECT_EQ(interpret(stream).size(), 1u);
  const std::string later = sse_heartbeat("e.7", 3) + "data: x\n\n";
  EXPECT_EQ(interpret(later)[0].id, "e.7");
  EXPECT_EQ(interpret(sse_reset(ResetReason::horizon, "e.9"))[0].type, "reset");
}

// Nothing in any field can break the framing.
RC_GTEST_PROP(Sse, AnyTextComesBack, (const std::string& text, const std::string& key)) {
  Event event = sample();
  std::string clean;
  for (const char c : text) clean += static_cast<char>(c & 0x7f);
  event.data.clear();
  append_json_string(event.data, clean);
  for (const char c : key) event.key += static_cast<char>(c & 0x7f);
  const auto dispatched = interpret(sse_frame(event) + sse_frame(sample()));
  RC_ASSERT(dispatched.size() == 2u);
  const auto parsed = boost::json::parse(dispatched[0].data).as_object();
  RC_ASSERT(parsed.at("data").as_string() == clean);
  if (!event.key.empty()) RC_ASSERT(parsed.at("key").as_string() == event.key);
  RC_ASSERT(dispatched[1].data == envelope(sample()));
}

TEST(Control, MessagesAreJson) {
  for (const auto& text :
       {control_connected({"c", "a\"b", 20000, 700}), control_heartbeat("c", 1),
        control_reset(ResetReason::lost, "c"), control_error(fail(Code::bad_topic, "x", "topic"), "9")})
    EXPECT_TRUE(boost::json::parse(text).as_object().contains("control")) << text;
  const auto body = boost::json::parse(poll_body("{},{}", "c", "/v1/events?since=c", 5)).as_object();
  EXPECT_EQ(body.at("events").as_array().size(), 2u);
}

}  // namespace
}  // namespace belfry::wire
