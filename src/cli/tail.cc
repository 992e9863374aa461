// belfry tail: a stream over NDJSON that goes on from its cursor when the connection breaks.

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <thread>

#include "cli/cli.h"
#include "cli/server_call.h"

namespace belfry::cli {
namespace {

namespace json = boost::json;

constexpr Duration kBackoffMin{500};
constexpr Duration kBackoffMax{30'000};
// Heartbeats come every 20 s; a stream that is silent for longer is dead.
constexpr std::chrono::seconds kSilenceMax{45};

std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

class Tail {
 public:
  explicit Tail(const TailCommand& command, std::string credentials)
      : command_(command), credentials_(std::move(credentials)), cursor_(command.since) {}

  int run() {
    for (int failures = 0;; ++failures) {
      lines_ = 0;
      if (const auto code = listen(); code) return *code;
      if (lines_ > 0) failures = 0;
      wait(failures);
    }
  }

 private:
  // An exit code if it makes no sense to try again.
  std::optional<int> listen() {
    net::ClientRequest request;
    request.url = command_.server.url + "/v1/events?";
    request.ca_file = ca_file_of(command_.server);
    for (const auto& pattern : command_.patterns)
      request.url += "topic=" + percent_encode(pattern, "-._~/") + "&";
    for (const auto& type : command_.types) request.url += "type=" + percent_encode(type, "-._~/") + "&";
    request.url += "since=" + percent_encode(cursor_.empty() ? "now" : cursor_, "-._~/");
    request.headers = {{"Accept", "application/x-ndjson"}, {"Authorization", "Bearer " + credentials_}};
    request.timeout = kSilenceMax;
    net::Response head;
    std::string pending;
    const auto done = net::fetch_stream(request, {[&](const net::Response& response) { head = response; },
                                                  [&](std::string_view bytes) {
                                                    pending += bytes;
                                                    if (head.status == 200) take_lines(pending);
                                                    return true;
                                                  }});
    if (head.status >= 400 && head.status < 500) {
      head.body = pending;
      return tell_refusal(head);
    }
    if (done || head.status != 0) {
      std::fprintf(stderr, "belfry: the stream ended; connecting again\n");
    } else if (cursor_ == command_.since && !ever_connected_) {
      return tell(done.error());
    } else {
      std::fprintf(stderr, "belfry: %s\n", done.error().text().c_str());
    }
    return std::nullopt;
  }

  void take_lines(std::string& pending) {
    for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      take(pending.substr(0, end));
      pending.erase(0, end + 1);
    }
  }

  void take(const std::string& line) {
    ++lines_;
    ever_connected_ = true;
    boost::system::error_code failed;
    const json::value value = json::parse(line, failed);
    if (failed || !value.is_object()) return;
    const json::object& message = value.as_object();
    const std::string control = text_of(message, "control");
    if (!control.empty()) {
      if (const auto cursor = text_of(message, "cursor"); !cursor.empty()) cursor_ = cursor;
      if (control == "reset")
        std::fprintf(stderr, "belfry: reset: %s; events before %s are lost\n",
                     text_of(message, "reason").c_str(), cursor_.c_str());
      if (control == "error") std::fprintf(stderr, "belfry: %s\n", text_of(message, "message").c_str());
      return;
    }
    if (const auto id = text_of(message, "id"); !id.empty()) cursor_ = id;
    print(line, message);
    std::fflush(stdout);
  }

  void print(const std::string& line, const json::object& message) const {
    if (command_.json) {
      std::printf("%s\n", line.c_str());
      return;
    }
    const auto* data = message.if_contains("data");
    if (data == nullptr) data = message.if_contains("notification");
    if (data == nullptr) data = message.if_contains("keys");
    const std::string time = text_of(message, "time");
    std::printf("%s  %-20s  %-24s  %s\n", time.substr(11, 12).c_str(), text_of(message, "topic").c_str(),
                text_of(message, "type").c_str(), data == nullptr ? "" : json::serialize(*data).c_str());
  }

  // Full jitter, so that many clients do not come back together.
  static void wait(int failures) {
    const auto most =
        std::min<std::int64_t>(kBackoffMax.count(), kBackoffMin.count() << std::min(failures, 6));
    std::this_thread::sleep_for(
        Duration{static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(most))});
  }

  const TailCommand& command_;
  const std::string credentials_;
  std::string cursor_;
  std::size_t lines_ = 0;
  bool ever_connected_ = false;
};

}  // namespace

int run_tail(const TailCommand& command) {
  auto credentials = credentials_of(command.server);
  if (!credentials) return tell(credentials.error());
  return Tail(command, std::move(credentials).value()).run();
}

}  // namespace belfry::cli
