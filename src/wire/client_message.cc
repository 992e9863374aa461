#include "wire/client_message.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "wire/publish_body.h"

namespace belfry::wire {
namespace {

namespace dom = simdjson::dom;
using Action = ClientMessage::Action;

Result<std::string> text_of(dom::element value, std::string_view field, std::size_t bytes_max) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be a string.", std::string(field));
  if (text.size() > bytes_max) return fail(Code::bad_parameter, "It is too long.", std::string(field));
  return std::string(text);
}

Result<std::vector<std::string>> texts_of(dom::element value, std::string_view field,
                                          std::size_t count_max) {
  dom::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be an array of strings.", std::string(field));
  if (array.size() > count_max) return fail(Code::too_many_topics, {}, std::string(field));
  std::vector<std::string> out;
  for (dom::element item : array) out.push_back(TRY(text_of(item, field, limits::topic_bytes_max + 1)));
  return out;
}

Result<Action> action_of(dom::element value) {
  const std::string name = TRY(text_of(value, "action", 32));
  if (name == "connect") return Action::connect;
  if (name == "subscribe") return Action::subscribe;
  if (name == "unsubscribe") return Action::unsubscribe;
  if (name == "mark") return Action::mark;
  if (name == "publish") return Action::publish;
  if (name == "renew") return Action::renew;
  if (name == "ping") return Action::ping;
  return fail(Code::bad_parameter,
              "It must be connect, subscribe, unsubscribe, mark, publish, renew or ping.", "action");
}

bool is_mark_field(std::string_view name) { return name == "mark" || name == "ids" || name == "upto"; }

// The members of a mark are put together again as the body of POST /v1/feed/marks.
void take_mark_field(ClientMessage& message, std::string_view name, dom::element value) {
  if (!message.body.empty()) message.body.pop_back();
  message.body += (message.body.empty() ? "{\"" : ",\"") + std::string(name) + "\":";
  message.body += simdjson::minify(value);
  message.body += '}';
}

Result<void> take(ClientMessage& message, std::string_view name, dom::element value) {
  if (name == "action") {
    message.action = TRY(action_of(value));
  } else if (name == "id") {
    message.id = TRY(text_of(value, "id", 64));
  } else if (name == "token") {
    message.token = TRY(text_of(value, "token", limits::token_bytes_max));
  } else if (name == "since") {
    message.since = TRY(text_of(value, "since", limits::cursor_bytes_max));
  } else if (name == "topics") {
    message.topics = TRY(texts_of(value, "topics", limits::stream_topics_max));
  } else if (name == "types") {
    message.types = TRY(texts_of(value, "types", limits::stream_types_max));
  } else if (name == "feed") {
    if (value.get_bool().get(message.feed) != simdjson::SUCCESS)
      return fail(Code::wrong_type, "It must be true or false.", "feed");
  } else if (is_mark_field(name)) {
    take_mark_field(message, name, value);
  } else if (name == "events") {
    if (!value.is_array()) return fail(Code::wrong_type, "It must be an array of events.", "events");
    message.body = simdjson::minify(value);
  } else if (name == "idempotency_key") {
    message.idempotency_key = TRY(text_of(value, name, limits::idempotency_key_bytes_max));
    if (has_control_character(message.idempotency_key))
      return fail(Code::bad_parameter, "It holds a control character.", "idempotency_key");
  } else {
    return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
  }
  return {};
}

bool allowed(Action action, std::string_view name) {
  if (name == "action" || name == "id") return true;
  if (name == "token") return action == Action::connect || action == Action::renew;
  if (name == "since" || name == "feed") return action == Action::connect;
  if (is_mark_field(name)) return action == Action::mark;
  if (name == "events" || name == "idempotency_key") return action == Action::publish;
  return action == Action::connect || action == Action::subscribe || action == Action::unsubscribe;
}

}  // namespace

Result<ClientMessage> parse_client_message(std::string_view text) {
  thread_local dom::parser parser;
  dom::element root;
  if (const auto code = parser.parse(text.data(), text.size(), true).get(root); code != simdjson::SUCCESS)
    return fail(code == simdjson::UTF8_ERROR ? Code::bad_utf8 : Code::bad_json,
                simdjson::error_message(code));
  dom::object object;
  if (root.get_object().get(object) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "A message is an object.");
  ClientMessage message;
  std::vector<std::string> names;
  for (auto [name, value] : object) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      return fail(Code::bad_request, "The field is there twice.", std::string(name.substr(0, 64)));
    names.emplace_back(name);
    TRY(take(message, name, value));
  }
  if (std::find(names.begin(), names.end(), "action") == names.end())
    return fail(Code::missing_field, {}, "action");
  for (const auto& name : names)
    if (!allowed(message.action, name))
      return fail(Code::unknown_field, "It does not belong to this action.", name);
  if (message.action == Action::renew && message.token.empty())
    return fail(Code::unauthenticated, {}, "token");
  const bool listens = message.action == Action::subscribe || message.action == Action::unsubscribe;
  if (listens && message.topics.empty()) return fail(Code::missing_field, {}, "topics");
  if (message.action == Action::publish && message.body.empty())
    return fail(Code::missing_field, {}, "events");
  if (message.action == Action::mark && message.body.empty()) return fail(Code::missing_field, {}, "mark");
  return message;
}

namespace {

std::string topics_control(std::string_view control, const std::vector<std::string>& topics) {
  std::string out = "{\"control\":\"" + std::string(control) + "\",\"topics\":[";
  for (const auto& topic : topics) {
    if (out.back() == '"') out += ',';
    append_json_string(out, topic);
  }
  out += ']';
  return out;
}

void end_control(std::string& out, std::string_view id) {
  if (!id.empty()) {
    out += ",\"id\":";
    append_json_string(out, id);
  }
  out += '}';
}

}  // namespace

std::string control_subscribed(const std::vector<std::string>& topics, std::string_view cursor,
                               std::string_view id) {
  std::string out = topics_control("subscribed", topics);
  out += ",\"cursor\":\"" + std::string(cursor) + '"';
  end_control(out, id);
  return out;
}

std::string control_unsubscribed(const std::vector<std::string>& topics, std::string_view id) {
  std::string out = topics_control("unsubscribed", topics);
  end_control(out, id);
  return out;
}

std::string control_pong(std::string_view id) {
  std::string out = "{\"control\":\"pong\"";
  end_control(out, id);
  return out;
}

std::string control_answer(std::string_view control, std::string_view id, std::string_view answer) {
  std::string out = "{\"control\":\"" + std::string(control) + '"';
  if (!id.empty()) {
    out += ",\"id\":";
    append_json_string(out, id);
  }
  return out + ',' + std::string(answer.substr(1));
}

std::string control_renewed(const std::vector<std::string>& lost, std::string_view id) {
  std::string out = topics_control("renewed", lost);
  out.replace(out.find("\"topics\""), 8, "\"lost\"");
  end_control(out, id);
  return out;
}

}  // namespace belfry::wire
