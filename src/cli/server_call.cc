#include "cli/server_call.h"

#include <boost/json.hpp>
#include <filesystem>

#include "server/server.h"

namespace belfry::cli {

Result<std::string> credentials_of(const ServerChoice& server) {
  if (!server.credentials_file.empty()) return read_secret(server.credentials_file);
  auto key = read_secret(server.data + "/backend_key");
  if (key) return key;
  return fail(Code::unauthenticated, "No credentials: there is no dev server's key in " + server.data +
                                         "; name --token-file, or --data-dir.");
}

std::string ca_file_of(const ServerChoice& server) {
  if (!server.ca_file.empty()) return server.ca_file;
  const std::string own = server.data + "/dev_certificate.pem";
  return std::filesystem::exists(own) ? own : std::string();
}

Result<net::Response> call(const ServerChoice& server, std::string_view method, const std::string& path,
                           std::string body) {
  const std::string credentials = TRY(credentials_of(server));
  net::ClientRequest request;
  request.url = server.url + path;
  request.ca_file = ca_file_of(server);
  request.method = std::string(method);
  request.headers = {{"Authorization", "Bearer " + credentials}};
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  return net::fetch(request);
}

int tell_refusal(const net::Response& response) {
  boost::system::error_code failed;
  const auto value = boost::json::parse(response.body, failed);
  const auto text = [&](const char* name) {
    const auto* member = value.is_object() ? value.as_object().if_contains(name) : nullptr;
    return member != nullptr && member->is_string() ? std::string(member->as_string()) : std::string();
  };
  if (failed || text("code").empty()) {
    std::fprintf(stderr, "belfry: the server answered %d\n", response.status);
    return exit_failed;
  }
  const std::string field = text("field");
  std::fprintf(stderr, "belfry: %s: %s%s\n        %s\n", text("code").c_str(), text("message").c_str(),
               field.empty() ? "" : (" (" + field + ")").c_str(), text("hint").c_str());
  return response.status == 401 || response.status == 403 ? exit_refused : exit_failed;
}

}  // namespace belfry::cli
