#include "description.h"

#include <boost/json/parse.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace belfry::bench {
namespace json = boost::json;

namespace {

std::string text_in(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  return found == nullptr ? std::string() : std::string(found->as_string());
}

std::vector<std::string> list_in(const json::object& from, std::string_view name) {
  std::vector<std::string> out;
  if (const auto* found = from.if_contains(name))
    for (const auto& one : found->as_array()) out.emplace_back(one.as_string());
  return out;
}

Description::Channel channel_in(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  if (found == nullptr) return {};
  const auto& object = found->as_object();
  Description::Channel out{text_in(object, "get"),
                           list_in(object, "headers"),
                           list_in(object, "hello"),
                           text_in(object, "ready"),
                           list_in(object, "resume"),
                           text_in(object, "first"),
                           {},
                           text_in(object, "port")};
  if (const auto* keep = object.if_contains("keep"))
    for (const auto& one : keep->as_object()) out.keep[one.key()] = one.value().as_string();
  return out;
}

}  // namespace

std::string filled(std::string_view text, const Words& words) {
  std::string out;
  while (!text.empty()) {
    const auto open = text.find('{');
    const auto close = open == std::string_view::npos ? open : text.find('}', open);
    const auto word =
        close == std::string_view::npos ? words.end() : words.find(text.substr(open + 1, close - open - 1));
    if (word != words.end()) {
      out.append(text.substr(0, open)).append(word->second);
      text.remove_prefix(close + 1);
    } else {
      const auto upto = open == std::string_view::npos ? text.size() : open + 1;
      out.append(text.substr(0, upto));
      text.remove_prefix(upto);
    }
  }
  return out;
}

Description read_description(const std::string& file) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  boost::system::error_code failed;
  const json::value value = json::parse(text.str(), failed);
  if (!stream || failed || !value.is_object()) {
    std::fprintf(stderr, "bench: %s: not a description: %s\n", file.c_str(), failed.message().c_str());
    std::exit(1);
  }
  const auto& object = value.get_object();
  Description out;
  out.name = text_in(object, "name");
  out.title = text_in(object, "title");
  if (const auto* files = object.if_contains("files"))
    for (const auto& one : files->as_object())
      for (const auto& line : one.value().as_array())
        out.files[one.key()] += std::string(line.as_string()) + "\n";
  out.command = list_in(object, "command");
  out.environment = list_in(object, "environment");
  out.credentials = text_in(object, "credentials");
  out.needs = text_in(object, "needs");
  out.sse = channel_in(object, "sse");
  out.websocket = channel_in(object, "websocket");
  out.http2 = channel_in(object, "http2");
  out.poll = channel_in(object, "poll");
  const auto* publish = object.if_contains("publish");
  if (publish != nullptr) {
    out.post = text_in(publish->as_object(), "post");
    out.publish_port = text_in(publish->as_object(), "port");
    out.headers = list_in(publish->as_object(), "headers");
    out.body = text_in(publish->as_object(), "body");
    out.durable = publish->as_object().contains("durable");
  }
  return out;
}

}  // namespace belfry::bench
