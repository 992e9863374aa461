// Commands about users and their feeds.

#include <boost/json.hpp>
#include <cstdio>

#include "cli/server_call.h"
#include "model/model.h"

namespace belfry::cli {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::string in_query(std::string_view text) { return percent_encode(text, "-._~"); }
std::string in_path(std::string_view text) { return percent_encode(text, "-._~@:"); }

bool flag(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

void print_item(const json::object& item) {
  const auto* notification = item.if_contains("notification");
  const json::object empty;
  const json::object& words =
      notification != nullptr && notification->is_object() ? notification->as_object() : empty;
  const char* state = flag(item, "archived") ? "archived"
                      : flag(item, "read")   ? "read    "
                      : flag(item, "seen")   ? "seen    "
                                             : "new     ";
  std::printf("%s  %s  %s%s%s\n", text_of(item, "time").substr(0, 19).c_str(), state,
              text_of(words, "title").c_str(), text_of(words, "body").empty() ? "" : ": ",
              text_of(words, "body").c_str());
  std::printf("                     %s  %s  %s\n", text_of(item, "topic").c_str(),
              text_of(item, "type").c_str(), text_of(item, "id").c_str());
}

}  // namespace

int run_feed(const FeedCommand& command) {
  std::string path = "/v1/feed?user=" + in_query(command.user) + "&limit=" + std::to_string(command.limit);
  if (!command.status.empty()) path += "&status=" + in_query(command.status);
  const auto answer = call(command.server, "GET", path, {});
  if (!answer) return tell(answer.error());
  if (answer.value().status >= 300) return tell_refusal(answer.value());
  if (command.json) {
    std::printf("%s\n", answer.value().body.c_str());
    return exit_ok;
  }
  const json::value page = json::parse(answer.value().body);
  for (const auto& item : page.at("notifications").as_array()) print_item(item.as_object());
  const auto& counts = page.at("counts").as_object();
  std::printf("%lld unread, %lld not seen. Cursor: %s\n",
              static_cast<long long>(counts.at("unread").to_number<std::int64_t>()),
              static_cast<long long>(counts.at("unseen").to_number<std::int64_t>()),
              text_of(page.as_object(), "cursor").c_str());
  return exit_ok;
}

int run_mark(const MarkWords& command) {
  json::object body{{"mark", command.mark}};
  if (command.all) {
    const auto page = call(command.server, "GET", "/v1/feed?limit=0&user=" + in_query(command.user), {});
    if (!page) return tell(page.error());
    if (page.value().status >= 300) return tell_refusal(page.value());
    body["upto"] = json::parse(page.value().body).at("cursor");
  } else if (!command.upto.empty()) {
    body["upto"] = command.upto;
  } else {
    body["ids"] = json::value_from(command.ids);
  }
  const auto answer =
      call(command.server, "POST", "/v1/feed/marks?user=" + in_query(command.user), json::serialize(body));
  if (!answer) return tell(answer.error());
  if (answer.value().status >= 300) return tell_refusal(answer.value());
  std::printf("%s\n", answer.value().body.c_str());
  return exit_ok;
}

int run_follow(const FollowWords& command) {
  std::string path = "/v1/users/" + in_path(command.user) + "/follows";
  std::string rest = command.topic;
  while (!rest.empty()) {
    const auto end = rest.find('/');
    path += "/" + in_path(rest.substr(0, end));
    rest = end == std::string::npos ? std::string() : rest.substr(end + 1);
  }
  const char* method = command.topic.empty() ? "GET" : command.stop ? "DELETE" : "PUT";
  const auto answer = call(command.server, method, path, {});
  if (!answer) return tell(answer.error());
  if (answer.value().status >= 300) return tell_refusal(answer.value());
  if (!command.topic.empty()) {
    std::printf("%s\n", answer.value().body.c_str());
    return exit_ok;
  }
  const json::value follows = json::parse(answer.value().body);
  for (const auto& topic : follows.at("follows").as_array())
    std::printf("%s\n", std::string(topic.as_string()).c_str());
  return exit_ok;
}

int run_send(const SendCommand& command) {
  json::object notification{{"title", command.text}};
  if (!command.body.empty()) notification["body"] = command.body;
  if (!command.link.empty()) notification["url"] = command.link;
  const json::object event{
      {"topic", user_topic(command.user)}, {"type", command.type}, {"notification", notification}};
  const auto answer = call(command.server, "POST", "/v1/events", json::serialize(event));
  if (!answer) return tell(answer.error());
  if (answer.value().status >= 300) return tell_refusal(answer.value());
  std::printf("%s\n", answer.value().body.c_str());
  return exit_ok;
}

}  // namespace belfry::cli
