#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

#include "api/token.h"
#include "attacks.h"
#include "net/net.h"

namespace belfry::bench {
namespace {

std::string random_text() {
  std::random_device device;
  std::string out;
  for (int i = 0; i < 48; ++i) out += "0123456789abcdef"[device() % 16];
  return out;
}

std::string token_of(const std::string& user, const std::vector<std::string>& topics, int hours,
                     const std::string& secret) {
  const Timestamp now = SystemClock().wall();
  return mint_token({user, topics, {}, now, now + std::chrono::hours(hours), {}}, secret);
}

}  // namespace

AttackedServer::AttackedServer(const Options& options, const std::string& settings)
    : secret_(random_text()), second_key_("bk_second_" + random_text()) {
  const std::string first_key = "bk_first_" + random_text();
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder_.path(name)) << text;
    return '"' + folder_.path(name) + '"';
  };
  const std::string auth = "[auth]\njwt_secret_file = " + write("secret", secret_) +
                           "\nbackend_key_files = [" + write("first", first_key) + ", " +
                           write("second", second_key_) + "]\n";
  write("belfry.toml", auth + settings);
  target_ = std::make_unique<Target>(
      "belfry", std::vector<std::string>{options.belfry, "serve", "-c", folder_.path("belfry.toml"),
                                         "--listen", "127.0.0.1:0", "--data", folder_.path("data")});
  target_->key = first_key;
  target_->token = token_of("ana", {"#"}, 12, secret_);
}

std::string AttackedServer::attacker_token(int hours) const {
  return token_of("eve", {"bookings/#", "presence/#", "plain/#"}, hours, secret_);
}

std::string AttackedServer::call(const std::string& method, const std::string& path,
                                 const std::string& body, const std::string& credential) {
  net::ClientRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(target_->port()) + path;
  request.method = method;
  request.headers = {{"Authorization", "Bearer " + (credential.empty() ? target_->key : credential)}};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  request.body = body;
  const auto answer = net::fetch(request);
  if (answer && answer.value().status / 100 == 2) return answer.value().body;
  std::fprintf(stderr, "bench: %s %s: %s\n", method.c_str(), path.c_str(),
               answer ? answer.value().body.c_str() : answer.error().text().c_str());
  std::exit(1);
}

std::vector<std::string> AttackedServer::publish(std::size_t count,
                                                 const std::function<std::string(std::size_t)>& event) {
  static const std::string before = "\"id\":\"";
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < count;) {
    std::string body = "[" + event(i);
    for (++i; i < count && i % 1000 != 0 && body.size() < 900'000; ++i) body += "," + event(i);
    const std::string answer = call("POST", "/v1/events", body + "]");
    for (auto at = answer.find(before); at != std::string::npos; at = answer.find(before, at + 1)) {
      const auto from = at + before.size();
      ids.push_back(answer.substr(from, answer.find('"', from) - from));
    }
  }
  return ids;
}

}  // namespace belfry::bench
