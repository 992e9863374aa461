#include "wire/feed_text.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "wire/event_frame.h"

namespace belfry::wire {
namespace {

namespace dom = simdjson::dom;

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, text);
  }
  return out + ']';
}

std::string list_of(const std::vector<Cursor>& cursors) {
  std::vector<std::string> texts;
  for (const Cursor& cursor : cursors) texts.push_back(to_text(cursor));
  return list_of(texts);
}

std::string counts_text(FeedCounts counts) {
  return fmt::format("{{\"unread\":{},\"unseen\":{}}}", counts.unread, counts.unseen);
}

// Calls take(name, value) for each member; a name twice is an error.
template <class Take>
Result<void> each_member(std::string_view text, Take take) {
  thread_local dom::parser parser;
  dom::element root;
  if (const auto code = parser.parse(text.data(), text.size(), true).get(root); code != simdjson::SUCCESS)
    return fail(code == simdjson::UTF8_ERROR ? Code::bad_utf8 : Code::bad_json,
                simdjson::error_message(code));
  dom::object object;
  if (root.get_object().get(object) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "The body is an object.");
  std::vector<std::string_view> names;
  for (auto [name, value] : object) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      return fail(Code::bad_request, "The field is there twice.", std::string(name.substr(0, 64)));
    names.push_back(name);
    TRY(take(name, value));
  }
  return {};
}

Result<std::vector<std::string>> texts_of(dom::element value, std::string_view field,
                                          std::size_t count_max) {
  dom::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be an array of strings.", std::string(field));
  if (array.size() > count_max)
    return fail(Code::bad_parameter, "At most " + std::to_string(count_max) + ".", std::string(field));
  std::vector<std::string> out;
  for (dom::element item : array) {
    std::string_view text;
    if (item.get_string().get(text) != simdjson::SUCCESS)
      return fail(Code::wrong_type, "It must be an array of strings.", std::string(field));
    out.emplace_back(text);
  }
  return out;
}

Result<std::string> text_of(dom::element value, std::string_view field) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS)
    return fail(Code::wrong_type, "It must be a string.", std::string(field));
  return std::string(text);
}

Result<Cursor> cursor_of(const std::string& text, std::string field) {
  auto cursor = parse_cursor(text);
  if (cursor) return cursor;
  Error error = std::move(cursor).error();
  error.field = std::move(field);
  return error;
}

Result<void> take_mark_field(MarkBody& body, bool& has_mark, std::string_view name, dom::element value) {
  if (name == "mark") {
    const std::string text = TRY(text_of(value, name));
    const auto mark = mark_of(text);
    if (!mark)
      return fail(Code::bad_parameter, "It must be read, unread, seen, archived or unarchived.", "mark");
    body.mark = *mark;
    has_mark = true;
  } else if (name == "ids") {
    const auto ids = TRY(texts_of(value, name, limits::mark_ids_max));
    if (ids.empty()) return fail(Code::bad_parameter, "Name at least one.", "ids");
    for (const auto& id : ids)
      body.ids.push_back(TRY(cursor_of(id, "ids[" + std::to_string(body.ids.size()) + "]")));
  } else if (name == "upto") {
    const std::string text = TRY(text_of(value, name));
    body.upto = TRY(cursor_of(text, "upto"));
  } else {
    return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
  }
  return {};
}

}  // namespace

std::string mark_data(Mark mark, const std::vector<Cursor>& ids, const std::optional<Cursor>& upto,
                      FeedCounts counts) {
  std::string out = fmt::format("{{\"mark\":\"{}\"", name_of(mark));
  if (upto) {
    out += ",\"upto\":\"" + to_text(*upto) + '"';
  } else {
    out += ",\"ids\":" + list_of(ids);
  }
  return out + ",\"counts\":" + counts_text(counts) + '}';
}

std::string topic_data(std::string_view topic) {
  std::string out = "{\"topic\":";
  append_json_string(out, topic);
  return out + '}';
}

std::string mutes_data(const Mutes& mutes) {
  return "{\"topics\":" + list_of(mutes.topics) + ",\"types\":" + list_of(mutes.types) + '}';
}

std::string id_data(Cursor id) { return "{\"id\":\"" + to_text(id) + "\"}"; }

std::string user_data(std::string_view user) {
  std::string out = "{\"user\":";
  append_json_string(out, user);
  return out + '}';
}

std::string presence_answer(std::string_view topic,
                            const std::vector<std::pair<std::string, Timestamp>>& users) {
  std::string out = topic_data(topic);
  out.back() = ',';
  out += "\"users\":[";
  for (const auto& [user, since] : users) {
    if (out.back() == '}') out += ',';
    out += user_data(user);
    out.back() = ',';
    out += "\"since\":\"" + format_rfc3339(since) + "\"}";
  }
  return out + "]}";
}

std::string revocation_data(const Revocation& revocation) {
  const bool of_token = !revocation.token_id.empty();
  std::string out = of_token ? "{\"token_id\":" : "{\"user\":";
  append_json_string(out, of_token ? revocation.token_id : revocation.user);
  return out + ",\"not_before\":\"" + format_rfc3339(revocation.not_before) + "\"}";
}

Result<RevocationBody> parse_revocation_body(std::string_view text, Timestamp now) {
  RevocationBody body;
  Revocation& out = body.revocation;
  out.not_before = now;
  const auto take = [&](std::string_view name, dom::element value) -> Result<void> {
    const std::string given = TRY(text_of(value, name));
    if (given.empty() || given.size() > limits::topic_bytes_max)
      return fail(Code::bad_parameter, "Between 1 and 255 bytes.", std::string(name));
    if (name == "user") {
      out.user = given;
    } else if (name == "token_id") {
      out.token_id = given;
    } else if (name == "not_before") {
      const auto time = parse_rfc3339(given);
      if (!time || *time > now)
        return fail(Code::bad_parameter, "It must be a time as in RFC 3339, not in the future.",
                    "not_before");
      out.not_before = *time;
      body.so_far = false;
    } else {
      return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
    }
    return {};
  };
  TRY(each_member(text, take));
  if (out.user.empty() == out.token_id.empty())
    return fail(Code::missing_field, "Give either user or token_id.", "user");
  out.forget = now + limits::revocation_kept;
  return body;
}

std::optional<FeedChange> feed_change_of(const Event& event) {
  if (event.type == mutes_type) {
    auto mutes = parse_mutes_body(event.data);
    if (!mutes) return std::nullopt;
    return FeedChange{FeedChange::Kind::mutes, {}, std::move(mutes).value()};
  }
  if (event.type == erase_type) return FeedChange{FeedChange::Kind::erase, {}, {}};
  if (event.type != follow_type && event.type != unfollow_type) return std::nullopt;
  FeedChange change;
  change.kind = event.type == follow_type ? FeedChange::Kind::follow : FeedChange::Kind::unfollow;
  const auto take = [&](std::string_view name, dom::element value) -> Result<void> {
    if (name == "topic") change.topic = TRY(text_of(value, name));
    return {};
  };
  if (!each_member(event.data, take) || change.topic.empty()) return std::nullopt;
  return change;
}

Result<MarkBody> parse_mark_body(std::string_view text) {
  MarkBody body;
  bool has_mark = false;
  TRY(each_member(text, [&](std::string_view name, dom::element value) {
    return take_mark_field(body, has_mark, name, value);
  }));
  if (!has_mark) return fail(Code::missing_field, {}, "mark");
  if (body.ids.empty() == !body.upto) return fail(Code::missing_field, "Give either ids or upto.", "ids");
  return body;
}

Result<Mutes> parse_mutes_body(std::string_view text) {
  Mutes mutes;
  const auto take = [&](std::string_view name, dom::element value) -> Result<void> {
    if (name == "topics") {
      mutes.topics = TRY(texts_of(value, name, limits::mutes_max));
    } else if (name == "types") {
      mutes.types = TRY(texts_of(value, name, limits::mutes_max));
    } else {
      return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
    }
    return {};
  };
  TRY(each_member(text, take));
  for (const auto& topic : mutes.topics) TRY(check_pattern(topic));
  for (const auto& type : mutes.types) TRY(check_type_pattern(type));
  return mutes;
}

Result<TicketBody> parse_ticket_body(std::string_view text) {
  TicketBody body;
  const auto take = [&](std::string_view name, dom::element value) -> Result<void> {
    if (name == "topics") {
      body.topics = TRY(texts_of(value, name, limits::stream_topics_max));
    } else if (name == "types") {
      body.types = TRY(texts_of(value, name, limits::stream_types_max));
    } else if (name == "feed") {
      if (value.get_bool().get(body.feed) != simdjson::SUCCESS)
        return fail(Code::wrong_type, "It must be true or false.", "feed");
    } else if (name == "renew") {
      body.renew = TRY(text_of(value, name));
    } else {
      return fail(Code::unknown_field, {}, std::string(name.substr(0, 64)));
    }
    return {};
  };
  TRY(each_member(text, take));
  if (!body.renew.empty() && (!body.topics.empty() || !body.types.empty() || body.feed))
    return fail(Code::bad_parameter, "A renewed ticket is for what it was for.", "renew");
  return body;
}

std::string ticket_answer(std::string_view ticket, std::optional<Timestamp> expires) {
  std::string out = "{\"ticket\":\"" + std::string(ticket) + '"';
  if (expires) out += ",\"expires\":\"" + format_rfc3339(*expires) + '"';
  return out + '}';
}

std::string feed_page(std::span<const FeedLine> lines, FeedCounts counts, std::string_view cursor,
                      std::string_view next) {
  std::string out = "{\"notifications\":[";
  for (const FeedLine& line : lines) {
    if (out.back() == '}') out += ',';
    out += envelope(*line.event);
    out.pop_back();
    out += fmt::format(",\"seen\":{},\"read\":{},\"archived\":{}}}", line.state.seen, line.state.read,
                       line.state.archived);
  }
  out += fmt::format("],\"counts\":{},\"cursor\":\"{}\",\"next\":", counts_text(counts), cursor);
  out += next.empty() ? "null" : '"' + std::string(next) + '"';
  return out + '}';
}

std::string mark_answer(bool changed, std::string_view cursor, FeedCounts counts,
                        const std::vector<Cursor>& absent) {
  return fmt::format("{{\"cursor\":\"{}\",\"changed\":{},\"counts\":{},\"absent\":{}}}", cursor, changed,
                     counts_text(counts), list_of(absent));
}

std::string change_answer(bool changed, std::string_view cursor) {
  return fmt::format("{{\"cursor\":\"{}\",\"changed\":{}}}", cursor, changed);
}

std::string follows_answer(const std::vector<std::string>& topics) {
  return "{\"follows\":" + list_of(topics) + '}';
}

}  // namespace belfry::wire
