// The feed over HTTP: pages and counts, marks and mutes for the user; follows and erasure for the backend.

#include <charconv>

#include "api/api_routes.h"

namespace belfry {
namespace {

// The place where a page ends, for the feed of one user: another feed's does not fit.
std::string page_cursor(const std::string& user, const EpochTable& epochs, Offset offset) {
  const BodyHash hash = hash_of_body(user);
  const std::string_view mark(reinterpret_cast<const char*>(hash.data()), 4);
  return epochs.text(offset) + "." + to_hex(mark);
}

Result<Offset> parse_page_cursor(std::string_view text, const std::string& user, const EpochTable& epochs) {
  const auto dot = text.rfind('.');
  const auto cursor = parse_cursor(text.substr(0, dot));
  if (!cursor || cursor.value().offset == 0)
    return fail(Code::bad_cursor, "Send back the text of `next`.", "before");
  if (text != page_cursor(user, epochs, cursor.value().offset))
    return fail(Code::bad_cursor, "It belongs to another feed, or to a log that was replaced.", "before");
  return cursor.value().offset;
}

Result<FeedStatus> parse_status(std::string_view text) {
  if (text.empty() || text == "active") return FeedStatus::active;
  if (text == "unread") return FeedStatus::unread;
  if (text == "read") return FeedStatus::read;
  if (text == "archived") return FeedStatus::archived;
  return fail(Code::bad_parameter, "It must be active, unread, read or archived.", "status");
}

Result<std::string> checked_user(std::string user, std::string field,
                                 std::size_t bytes_max = limits::user_bytes_max) {
  if (user.empty() || user.size() > bytes_max || !check_topic(user_topic(user)))
    return fail(Code::bad_parameter, "It cannot be a user id.", std::move(field));
  return user;
}

net::Response marked_response(const Published& published) {
  const CommandAnswer& answer = *published.command;
  return json_response(
      200, wire::mark_answer(answer.changed, to_text(answer.cursor), answer.counts, answer.absent));
}

net::Response changed_response(const Published& published) {
  const CommandAnswer& answer = *published.command;
  return json_response(200, wire::change_answer(answer.changed, to_text(answer.cursor)));
}

}  // namespace

Result<std::string> Api::feed_user(const net::Request& request) const {
  Principal principal = TRY(principal_of(request));
  const auto named = request.parameter("user");
  if (!principal.user.empty()) {
    if (named && *named != principal.user)
      return fail(Code::forbidden, "A user's token opens that user's feed alone.", "user");
    return std::move(principal.user);
  }
  if (!named) return fail(Code::bad_parameter, "A backend names the user: ?user=<id>.", "user");
  return checked_user(std::string(*named), "user");
}

Result<std::string> Api::need_backend(const net::Request& request) const {
  Principal principal = TRY(principal_of(request));
  if (!principal.user.empty()) return fail(Code::forbidden, "This takes a backend key.");
  return std::move(principal.name);
}

Result<FeedQuestion> Api::feed_question(const net::Request& request) const {
  FeedQuestion question;
  question.user = TRY(feed_user(request));
  for (const auto& [name, value] : request.query)
    if (name != "user" && name != "status" && name != "before" && name != "limit")
      return fail(Code::bad_parameter, "There is no such parameter.", name.substr(0, 64));
  question.status = TRY(parse_status(request.parameter("status").value_or("")));
  if (const auto before = request.parameter("before"))
    question.before = TRY(parse_page_cursor(*before, question.user, parts_.epochs));
  if (const auto limit = request.parameter("limit")) {
    const auto parsed = std::from_chars(limit->data(), limit->data() + limit->size(), question.limit);
    const bool whole = parsed.ec == std::errc{} && parsed.ptr == limit->data() + limit->size();
    if (!whole || question.limit > limits::feed_items_max)
      return fail(Code::bad_parameter, "It must be a number from 0 to 100.", "limit");
  }
  return question;
}

void Api::get_feed(net::Exchange& exchange, const Arguments&) {
  auto question = feed_question(exchange.request());
  if (!question) return refuse(exchange, question.error());
  FeedJob job{std::move(question).value(), false};
  const std::string user = job.question.user;
  ask(exchange, std::move(job), [this, user](const FeedReply& reply) {
    const FeedAnswer& answer = reply.answer;
    std::vector<wire::FeedLine> lines;
    for (const FeedItem& item : answer.items) lines.push_back({&item.event, item.state});
    const std::string next = answer.next ? page_cursor(user, parts_.epochs, *answer.next) : std::string();
    return json_response(200, wire::feed_page(lines, answer.counts, parts_.epochs.text(answer.head), next));
  });
}

void Api::post_marks(net::Exchange& exchange, const Arguments&) {
  auto user = feed_user(exchange.request());
  if (!user) return refuse(exchange, user.error());
  auto body = wire::parse_mark_body(exchange.request().body);
  if (!body) return refuse(exchange, body.error());
  PublishRequest request;
  request.command = MarkCommand{std::move(user).value(), body.value().mark, std::move(body.value().ids),
                                body.value().upto};
  submit(exchange, std::move(request), marked_response);
}

void Api::get_mutes(net::Exchange& exchange, const Arguments&) {
  auto user = feed_user(exchange.request());
  if (!user) return refuse(exchange, user.error());
  FeedJob job{{std::move(user).value()}, true};
  ask(exchange, std::move(job),
      [](const FeedReply& reply) { return json_response(200, wire::mutes_data(reply.user.mutes)); });
}

void Api::put_mutes(net::Exchange& exchange, const Arguments&) {
  auto user = feed_user(exchange.request());
  if (!user) return refuse(exchange, user.error());
  auto mutes = wire::parse_mutes_body(exchange.request().body);
  if (!mutes) return refuse(exchange, mutes.error());
  PublishRequest request;
  request.command = MuteCommand{std::move(user).value(), std::move(mutes).value()};
  submit(exchange, std::move(request), changed_response);
}

void Api::get_follows(net::Exchange& exchange, const Arguments& arguments) {
  if (auto backend = need_backend(exchange.request()); !backend) return refuse(exchange, backend.error());
  auto user = checked_user(arguments[0], "user");
  if (!user) return refuse(exchange, user.error());
  FeedJob job{{std::move(user).value()}, true};
  ask(exchange, std::move(job), [](const FeedReply& reply) {
    std::vector<std::string> topics;
    for (const Follow& follow : reply.user.follows)
      if (!follow.to) topics.push_back(follow.topic);
    return json_response(200, wire::follows_answer(topics));
  });
}

void Api::submit_follow(net::Exchange& exchange, const Arguments& arguments, bool follow) {
  auto backend = need_backend(exchange.request());
  if (!backend) return refuse(exchange, backend.error());
  auto user = checked_user(arguments[0], "user");
  if (!user) return refuse(exchange, user.error());
  if (auto topic = check_topic(arguments[1]); !topic) return refuse(exchange, topic.error());
  PublishRequest request;
  request.principal = std::move(backend).value();
  request.command = FollowCommand{std::move(user).value(), arguments[1], follow};
  submit(exchange, std::move(request), changed_response);
}

void Api::put_follow(net::Exchange& exchange, const Arguments& arguments) {
  submit_follow(exchange, arguments, true);
}

void Api::delete_follow(net::Exchange& exchange, const Arguments& arguments) {
  submit_follow(exchange, arguments, false);
}

void Api::delete_user(net::Exchange& exchange, const Arguments& arguments) {
  auto backend = need_backend(exchange.request());
  if (!backend) return refuse(exchange, backend.error());
  // Earlier versions took longer ids from tokens, as long as their topic was one.
  auto user = checked_user(arguments[0], "user", limits::topic_bytes_max);
  if (!user) return refuse(exchange, user.error());
  PublishRequest request;
  request.principal = std::move(backend).value();
  request.command = EraseCommand{std::move(user).value()};
  submit(exchange, std::move(request), changed_response);
}

void Api::post_revocations(net::Exchange& exchange, const Arguments&) {
  auto backend = need_backend(exchange.request());
  if (!backend) return refuse(exchange, backend.error());
  auto body = wire::parse_revocation_body(exchange.request().body, parts_.clock.wall());
  if (!body) return refuse(exchange, body.error());
  PublishRequest request;
  request.principal = std::move(backend).value();
  request.command = RevokeCommand{std::move(body.value().revocation), body.value().so_far};
  submit(exchange, std::move(request), changed_response);
}

}  // namespace belfry
