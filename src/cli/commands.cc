#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "api/api.h"
#include "cli/cli.h"
#include "cli/server_call.h"
#include "server/server.h"

namespace belfry::cli {
namespace {

Result<std::string> read_data(const std::string& given) {
  std::stringstream text;
  if (given == "-") {
    text << std::cin.rdbuf();
  } else if (given.starts_with("@")) {
    std::ifstream file(given.substr(1));
    if (!file) return fail(Code::bad_parameter, "Cannot read " + given.substr(1) + ".", "--data");
    text << file.rdbuf();
  } else {
    return given;
  }
  return text.str();
}

Result<Duration> parse_ttl(const std::string& text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
  const std::vector<std::pair<std::string, std::int64_t>> units{
      {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}};
  for (const auto& [name, seconds] : units)
    if (parsed.ec == std::errc{} && unit == name && number > 0 && number <= 3'650 * 86'400 / seconds)
      return Duration{number * seconds * 1000};
  return fail(Code::bad_parameter, "\"" + text + "\" is not a time such as 90s, 15m, 1h or 7d.", "--ttl");
}

}  // namespace

int tell(const Error& error) {
  std::fprintf(stderr, "belfry: %s\n        %s\n", error.text().c_str(), std::string(error.hint()).c_str());
  if (error.code == Code::connection_failed) return exit_unreachable;
  if (error.code == Code::config_invalid) return exit_config;
  const int status = info(error.code).http;
  return status == 401 || status == 403 ? exit_refused : exit_failed;
}

int run_publish(const PublishCommand& command) {
  const auto credentials = credentials_of(command.server);
  if (!credentials) return tell(credentials.error());
  const auto data = read_data(command.data);
  if (!data) return tell(data.error());
  std::string body = "{\"topic\":";
  append_json_string(body, command.topic);
  if (!command.type.empty()) {
    body += ",\"type\":";
    append_json_string(body, command.type);
  }
  if (!command.key.empty()) {
    body += ",\"key\":";
    append_json_string(body, command.key);
  }
  if (!data.value().empty()) body += ",\"data\":" + data.value();
  net::ClientRequest request;
  request.url = command.server.url + "/v1/events";
  request.ca_file = ca_file_of(command.server);
  request.method = "POST";
  request.headers = {{"Authorization", "Bearer " + credentials.value()},
                     {"Content-Type", "application/json"}};
  if (!command.idempotency_key.empty())
    request.headers.emplace_back("Idempotency-Key", command.idempotency_key);
  request.body = body + "}";
  const auto answer = net::fetch(request);
  if (!answer) return tell(answer.error());
  if (answer.value().status >= 300) return tell_refusal(answer.value());
  std::printf("%s\n", answer.value().body.c_str());
  return exit_ok;
}

int run_token(const TokenCommand& command) {
  const auto ttl = parse_ttl(command.ttl);
  if (!ttl) return tell(ttl.error()), exit_usage;
  for (const auto& patterns : {command.subscribe, command.publish})
    for (const auto& pattern : patterns)
      if (auto checked = check_pattern(pattern); !checked) return tell(checked.error()), exit_usage;
  const auto secret =
      read_secret(command.secret_file.empty() ? command.data + "/jwt_secret" : command.secret_file);
  if (!secret) {
    std::fprintf(stderr,
                 "belfry: no secret. Start 'belfry dev' here first, or name --data or --secret-file.\n");
    return tell(secret.error());
  }
  if (auto key = SigningKey::from_secret(secret.value()); !key) return tell(key.error());
  const Timestamp now = SystemClock().wall();
  TokenClaims claims{command.user, command.subscribe, command.publish,
                     now,          now + ttl.value(), to_hex(random_bytes(8))};
  if (claims.subscribe.empty() && !claims.publish.empty())
    claims.subscribe = default_rights(command.user).subscribe;
  std::printf("%s\n", mint_token(claims, secret.value()).c_str());
  return exit_ok;
}

int run_config_check(const std::string& file) {
  const LoadedConfig loaded = load_config({file, process_environment(), {}});
  for (const auto& problem : loaded.problems)
    std::fprintf(stderr, "%s: %s\n", problem.where.c_str(), problem.text.c_str());
  if (!loaded.problems.empty()) return exit_config;
  std::printf("The configuration is valid.\n");
  return exit_ok;
}

int run_config_show(const std::string& file) {
  const LoadedConfig loaded = load_config({file, process_environment(), {}});
  for (const auto& problem : loaded.problems)
    std::fprintf(stderr, "%s: %s\n", problem.where.c_str(), problem.text.c_str());
  std::string table;
  for (const auto& field : config_fields()) {
    const auto dot = field.name.find('.');
    if (table != field.name.substr(0, dot)) {
      std::printf("%s[%s]\n", table.empty() ? "" : "\n", std::string(field.name.substr(0, dot)).c_str());
      table = field.name.substr(0, dot);
    }
    const std::string line =
        std::string(field.name.substr(dot + 1)) + " = " + config_value(loaded.config, field);
    std::printf("# %s\n%-48s # %s\n", std::string(field.explanation).c_str(), line.c_str(),
                loaded.config.origins.find(field.name)->second.c_str());
  }
  for (const auto& source : loaded.config.sources) {
    std::printf("\n[source.%s]\nkind = \"%s\"\n", source.name.c_str(), source.kind.c_str());
    for (const auto& [name, values] : source.settings)
      for (const auto& value : values)
        std::printf("%s = \"%s\"\n", name.c_str(), ingest::without_credentials(value).c_str());
    std::printf("# %zu rules\n", source.rules.size());
  }
  return loaded.problems.empty() ? exit_ok : exit_config;
}

int run_version(bool json) {
  std::printf(json ? "{\"version\":\"%s\"}\n" : "belfry %s\n", BELFRY_VERSION);
  return exit_ok;
}

}  // namespace belfry::cli
