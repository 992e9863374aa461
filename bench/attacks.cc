#include "attacks.h"

#include <algorithm>
#include <utility>

namespace belfry::bench {
namespace {

constexpr std::size_t kSockets = 8;
constexpr std::size_t kTopics = 20;            // that the attacker follows
constexpr std::size_t kHistory = 8000;         // notifications in the attacker's feed
constexpr std::size_t kBookings = 40'000;      // events of a long log
constexpr std::size_t kSubscribed = 120;       // topics of one subscribe message
constexpr std::size_t kPatternsMax = 128;      // of one stream
constexpr std::size_t kRepeated = 64;          // topics that may be subscribed again beside themselves
constexpr std::size_t kTypesMax = 32;          // of one selector
// Below the requests that a server lets one WebSocket have unanswered. Long answers may still be more than
// it keeps: then it ends the WebSocket, which comes back.
constexpr std::size_t kWebSocketWindow = 200;
constexpr const char* kLast = "the-last-event";

using Texts = std::vector<std::string>;
using Shared = std::shared_ptr<const Texts>;

std::string number(std::size_t i) { return std::to_string(i); }

// A JSON array of texts.
std::string array_of(std::size_t count, const std::function<std::string(std::size_t)>& text) {
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) out += (i == 0 ? "\"" : ",\"") + text(i) + '"';
  return out + "]";
}

std::string request(const std::string& method, const std::string& path, const std::string& credential,
                    const std::string& body = {}, const std::string& accept = "application/json") {
  std::string head = method + " " + path + " HTTP/1.1\r\nHost: b\r\nAccept: " + accept +
                     "\r\nAuthorization: Bearer " + credential + "\r\n";
  if (!body.empty()) head += "Content-Type: application/json\r\n";
  if (method != "GET") head += "Content-Length: " + number(body.size()) + "\r\n";
  return head + "\r\n" + body;
}

Shared shared(Texts texts) { return std::make_shared<const Texts>(std::move(texts)); }

// Connections that do the same, each beginning elsewhere.
std::vector<Script> spread(const Script& script, std::size_t connections) {
  std::vector<Script> out(connections, script);
  for (std::size_t i = 0; i < connections; ++i) out[i].first = i * script.actions->size() / connections;
  return out;
}

std::vector<Script> over_http(std::size_t connections, Texts requests, std::size_t window = 4) {
  Script script;
  script.actions = shared(std::move(requests));
  script.window = window;
  script.answer = "HTTP/1.1 ";
  return spread(script, connections);
}

// A WebSocket that is connected; `more` are further members of its connect message, and then messages.
Script websocket(const std::string& token, const std::string& members = {}, const Texts& more = {}) {
  Script script;
  script.opening =
      "GET /v1/events HTTP/1.1\r\nHost: b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  script.hello = masked_text(R"({"action":"connect","token":")" + token + '"' + members + "}");
  for (const auto& text : more) script.hello += masked_text(text);
  return script;
}

std::vector<Script> over_websockets(Script script, const Texts& messages,
                                    std::size_t window = kWebSocketWindow) {
  Texts frames;
  for (const auto& text : messages) frames.push_back(masked_text(text));
  script.actions = shared(std::move(frames));
  script.window = window;
  script.answer = "\"control\":\"";
  return spread(script, kSockets);
}

std::string mark_body(const char* mark, const std::string& ids) {
  return std::string(R"({"mark":")") + mark + R"(","ids":)" + ids + "}";
}

std::string topics_message(const char* action, const std::string& topics, const std::string& types = {}) {
  return std::string(R"({"action":")") + action + R"(","id":"1","topics":)" + topics +
         (types.empty() ? "" : ",\"types\":" + types) + "}";
}

// A query with as many topics as a stream may have.
std::string with_patterns(const std::string& path, const std::string& before) {
  std::string out = path;
  for (std::size_t i = 0; i < kPatternsMax; ++i)
    out += (i == 0 && out.find('?') == std::string::npos ? "?topic=" : "&topic=") + before + number(i);
  return out;
}

// A feed of which every other notification is read.
void prepare_history(AttackedServer& server) {
  for (std::size_t i = 0; i < kTopics; ++i) server.call("PUT", "/v1/users/eve/follows/team/" + number(i));
  server.history = server.publish(kHistory, [](std::size_t i) {
    return R"({"topic":"team/)" + number(i % kTopics) +
           R"(","type":"note","notification":{"title":"A notification of the usual length"}})";
  });
  for (std::size_t from = 0; from < kHistory; from += 1000) {
    const std::string ids = array_of(500, [&](std::size_t i) { return server.history[from + 2 * i]; });
    server.call("POST", "/v1/feed/marks", mark_body("read", ids), server.attacker_token());
  }
}

void prepare_bookings(AttackedServer& server) {
  server.publish(kBookings, [](std::size_t i) {
    return R"({"topic":"bookings/)" + number(i % 50) + R"(","type":"booking.changed","data":{"booking":)" +
           number(i) + R"(,"text":"what a booking says, more or less"}})";
  });
  server.publish(1, [](std::size_t) {
    return std::string(R"({"topic":"bookings/0","type":"booking.last","data":")") + kLast + "\"}";
  });
}

void prepare_names(AttackedServer& server) {
  server.publish(4000, [](std::size_t i) {
    return R"({"topic":"bookings/)" + number(i) + R"(","type":"booking","data":")" + std::string(1000, 'x') +
           "\"}";
  });
}

std::vector<Script> marks(const AttackedServer& server) {
  Texts messages;
  for (std::size_t i = 1; i < kHistory; i += 8)
    for (const char* mark : {"read", "unread"})
      messages.push_back(std::string(R"({"action":"mark","id":"1","mark":")") + mark + R"(","ids":[")" +
                         server.history[i] + "\"]}");
  return over_websockets(websocket(server.attacker_token()), messages);
}

std::vector<Script> marks_of_thousand(const AttackedServer& server) {
  Texts requests;
  for (std::size_t from = 0; from < kHistory; from += 2000) {
    const std::string ids = array_of(1000, [&](std::size_t i) { return server.history[from + 2 * i]; });
    for (const char* mark : {"unread", "read"})
      requests.push_back(request("POST", "/v1/feed/marks", server.attacker_token(), mark_body(mark, ids)));
  }
  return over_http(kSockets, std::move(requests));
}

std::string subscribed(const char* before, std::size_t count = kSubscribed) {
  return array_of(count, [&](std::size_t i) { return before + number(i); });
}

std::vector<Script> presence(const AttackedServer& server) {
  const std::string topics = subscribed("presence/room");
  return over_websockets(websocket(server.attacker_token()),
                         {topics_message("subscribe", topics), topics_message("unsubscribe", topics)});
}

// Selectors that no event but the last one meets, so that each looks at all of them.
std::vector<Script> selectors(const AttackedServer& server) {
  const std::string topics = R"(["bookings/+"])";
  const auto types = [](std::size_t selector) {
    return array_of(kTypesMax, [&](std::size_t i) {
      if (selector == 0 && i == 0) return std::string("booking.last");
      return "booking.type" + number(selector * kTypesMax + i);
    });
  };
  Texts more;
  for (std::size_t i = 1; i < kPatternsMax; ++i)
    more.push_back(topics_message("subscribe", topics, types(i)));
  Script script =
      websocket(server.attacker_token(),
                R"(,"since":"earliest","topics":)" + topics + ",\"types\":" + types(0), more);
  script.end = kLast;
  return std::vector<Script>(4, script);
}

std::vector<Script> poll_names(const AttackedServer& server) {
  const std::string path = with_patterns("/v1/events?since=earliest", "bookings/%2B/p");
  return over_http(kSockets, {request("GET", path, server.attacker_token())});
}

std::vector<Script> catch_up(const AttackedServer& server) {
  Script script;
  script.opening = request("GET", "/v1/events?topic=bookings/%2B&since=earliest", server.attacker_token(),
                           {}, "text/event-stream");
  script.end = kLast;
  return std::vector<Script>(1000, script);
}

// Connections that publish batches with the second backend key.
std::vector<Script> batches_of(const AttackedServer& server, std::size_t connections, std::size_t events,
                               const std::string& topic) {
  std::string body = "[";
  for (std::size_t i = 0; i < events; ++i)
    body += (i == 0 ? "" : ",") + event_body(topic, i, 100);
  return over_http(connections, {request("POST", "/v1/events", server.second_key(), body + "]")});
}

std::vector<Script> retention(const AttackedServer& server) { return batches_of(server, 2, 100, "a/x"); }
std::vector<Script> batches(const AttackedServer& server) { return batches_of(server, 4, 1000, "other"); }

// Of topics that it has: more would be refused.
std::vector<Script> subscribes(const AttackedServer& server) {
  return over_websockets(websocket(server.attacker_token()),
                         {topics_message("subscribe", subscribed("plain/", kRepeated))});
}

// Each has something to end.
std::vector<Script> unsubscribes(const AttackedServer& server) {
  const std::string topics = subscribed("plain/");
  return over_websockets(websocket(server.attacker_token()),
                         {topics_message("subscribe", topics), topics_message("unsubscribe", topics)});
}

// Each topic is looked at for each new token.
std::vector<Script> renewals(const AttackedServer& server) {
  Texts messages;
  for (const int hours : {11, 12})
    messages.push_back(R"({"action":"renew","id":"1","token":")" + server.attacker_token(hours) + "\"}");
  const std::string topics = ",\"topics\":" + subscribed("plain/");
  return over_websockets(websocket(server.attacker_token(), topics), messages);
}

std::vector<Script> pings(const AttackedServer& server) {
  return over_websockets(websocket(server.attacker_token()), {R"({"action":"ping","id":"1"})"});
}

std::vector<Script> feed_pages(const AttackedServer& server) {
  Texts requests;
  for (const char* status : {"active", "unread", "read", "archived"})
    requests.push_back(request("GET", std::string("/v1/feed?limit=100&status=") + status,
                               server.attacker_token()));
  return over_http(kSockets, std::move(requests));
}

std::vector<Script> follow_toggles(const AttackedServer& server) {
  Texts requests;
  for (std::size_t i = 0; i < 8 * kSockets; ++i)
    for (const char* method : {"PUT", "DELETE"})
      requests.push_back(request(method, "/v1/users/eve/follows/teams/t" + number(i), server.second_key()));
  return over_http(kSockets, std::move(requests));
}

std::vector<Script> patterns(const AttackedServer& server) {
  Script script;
  script.opening = request("GET", with_patterns("/v1/events", "bookings/%2B/p"), server.attacker_token(), {},
                           "text/event-stream");
  script.end = "\nid: ";  // it stands at the beginning of a stream
  return std::vector<Script>(8 * kSockets, script);
}

std::vector<Script> mutes(const AttackedServer& server) {
  const std::string all =
      R"({"topics":)" + array_of(64, [](std::size_t i) { return "team/" + number(2 * i); }) +
      R"(,"types":)" + array_of(64, [](std::size_t i) { return "kind" + number(i) + ".#"; }) + "}";
  Texts requests;
  for (const std::string& body : {all, std::string(R"({"topics":[],"types":[]})")})
    requests.push_back(request("PUT", "/v1/feed/mutes", server.attacker_token(), body));
  return over_http(kSockets, std::move(requests));
}

}  // namespace

const std::vector<Attack>& attacks() {
  static const std::vector<Attack> all{
      {"marks", "marks of one id over 8 WebSockets", "", prepare_history, marks},
      {"marks-1000", "marks of 1,000 ids, 8 connections", "", prepare_history, marks_of_thousand},
      {"presence", "subscribe and unsubscribe of 120 topics with presence, 8 WebSockets",
       "[presence]\ntopics = [\"presence/#\"]\n", nullptr, presence},
      {"selectors", "128 selectors of 32 types from the earliest, 4 WebSockets", "", prepare_bookings,
       selectors},
      {"poll-names", "polls with 128 patterns over 4,000 names, 8 connections",
       "[log]\ntail_bytes = 1048576\n", prepare_names, poll_names},
      {"catch-up", "1,000 SSE streams from the earliest of 40,000 events", "", prepare_bookings, catch_up},
      {"retention", "batches of 100 on a topic that keeps 100, 2 connections",
       "[log]\nretention = [\"a/# 100\"]\n", nullptr, retention},
      {"subscribes", "subscribe of 64 topics again and again, 8 WebSockets", "", nullptr, subscribes},
      {"unsubscribes", "subscribe and unsubscribe of 120 topics, 8 WebSockets", "", nullptr, unsubscribes},
      {"renewals", "renewals of the token, 8 WebSockets", "", nullptr, renewals},
      {"pings", "pings, 8 WebSockets", "", nullptr, pings},
      {"feed-pages", "the largest pages of a feed, 8 connections", "", prepare_history, feed_pages},
      {"follow-toggles", "follows that begin and end, 8 connections", "", nullptr, follow_toggles},
      {"patterns-128", "SSE streams with 128 patterns, opened and closed", "", nullptr, patterns},
      {"mutes", "mutes that come and go, 8 connections", "", prepare_history, mutes},
      {"batches", "batches of 1,000 events, 4 connections", "", nullptr, batches},
  };
  return all;
}

}  // namespace belfry::bench
