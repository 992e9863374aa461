#pragma once
// A row of the table of routes, and what answers wait on. Private to api.

#include <functional>

#include "api/api.h"

namespace belfry {

struct Api::Route {
  std::string_view method;  // GET answers HEAD too, every path answers OPTIONS
  std::string_view path;    // `{x}` is one segment, `{x…}` the rest
  void (Api::*function)(net::Exchange& exchange, const Arguments& arguments);
  bool any_origin = false;  // pages of every site may ask; nothing there is a user's
};

// Whether the origin is the one under which this request was addressed (RFC 6454 section 4).
bool is_same_origin(const net::Request& request, std::string_view origin);

// A request whose answer comes from another thread: the log-writer's outcome, or a page of a feed.
class Api::Waiting final : public net::StreamEvents, public OutcomeReceiver {
 public:
  using FormOutcome = std::function<net::Response(const Published& published)>;
  using FormFeed = std::function<net::Response(const FeedReply& reply)>;

  Waiting(Api& api, net::Exchange& exchange, std::vector<net::Field> cors)
      : api_(api), exchange_(exchange), cors_(std::move(cors)) {}

  void on_writable() override {}
  void on_bytes(std::string_view) override {}
  // The client left; what was asked for goes on without an answer.
  void on_closed() override;
  void on_outcome(std::uint64_t ticket, PublishOutcome outcome) override;
  void on_feed(const Result<FeedReply>& reply);

  std::uint64_t ticket = 0;
  bool of_desk = false;
  FormOutcome form_outcome;
  FormFeed form_feed;

 private:
  void answer(net::Response response);

  Api& api_;
  net::Exchange& exchange_;
  const std::vector<net::Field> cors_;
};

net::Response json_response(int status, std::string body);
net::Response published_response(const Published& published);

}  // namespace belfry
