#pragma once
// The configuration: one struct, filled from defaults, a TOML file, BELFRY_… variables and flags, in that
// order. One table (config_fields) names every field, explains it and bounds it; reading, checking and
// showing all use it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/base.h"
#include "ingest/ingest.h"
#include "store/store.h"

namespace belfry {

struct Config {
  std::string http_listen = "127.0.0.1:8080";
  std::uint64_t http_connections_max = 100'000;
  std::vector<std::string> http_allowed_origins;
  std::string http_tls_certificate_file;
  std::string http_tls_key_file;
  std::vector<std::string> http_trusted_proxies;
  bool http_proxy_protocol = false;
  std::uint64_t http_heartbeat_s = 20;
  std::string http_forwarded_header = "x-forwarded-for";
  std::uint64_t limits_streams_per_second = 5'000;
  std::uint64_t limits_streams_per_user = 100;
  std::uint64_t limits_streams_per_address = 1'000;
  std::uint64_t limits_memory_bytes = 0;
  std::string store_path = "belfry-data";
  std::uint64_t log_tail_bytes = limits::tail_bytes_max;
  std::uint64_t log_retention_days = 90;
  std::vector<std::string> log_retention;
  std::vector<std::string> log_ephemeral{"ephemeral/#"};
  std::vector<std::string> presence_topics{"presence/#"};
  std::string auth_jwt_secret_file;
  std::vector<std::string> auth_backend_key_files;
  std::vector<std::string> auth_public_key_files;
  std::vector<std::string> auth_jwks;
  std::string auth_issuer;
  std::string auth_audience;
  std::string auth_cookie;
  std::uint64_t server_shards = 0;
  std::uint64_t server_shutdown_timeout_s = 10;
  std::string server_log_format = "auto";
  std::string server_log_level = "info";
  std::vector<ingest::SourceConfig> sources;  // the tables [source.NAME]

  // Where each value came from: "default", "belfry.toml:3", "BELFRY_HTTP__LISTEN", "--listen".
  std::map<std::string, std::string, std::less<>> origins;
};

struct ConfigField {
  std::string_view name;         // "http.listen": table and key of the file
  std::string_view explanation;  // with unit
  std::variant<std::string Config::*, std::uint64_t Config::*, std::vector<std::string> Config::*,
               bool Config::*>
      member;
  std::uint64_t min = 0, max = 0;              // of numbers
  std::vector<std::string_view> choices = {};  // of texts; empty: any
  bool at_once = false;                        // SIGHUP is enough to change it
};
const std::vector<ConfigField>& config_fields();

// A value as it would stand in the file.
std::string config_value(const Config& config, const ConfigField& field);

struct ConfigProblem {
  std::string where;  // "belfry.toml:3:5", a variable, a flag
  std::string text;   // a sentence, with "did you mean" where something is near
};

struct ConfigSources {
  std::string file;                                              // empty: none
  std::vector<std::pair<std::string, std::string>> environment;  // all of it; only BELFRY_… is looked at
  std::vector<std::pair<std::string, std::string>> flags;        // field name, value
};

// All problems at once; the config is good only if there is none.
struct LoadedConfig {
  Config config;
  std::vector<ConfigProblem> problems;
};
LoadedConfig load_config(const ConfigSources& sources);

// The process's environment as pairs.
std::vector<std::pair<std::string, std::string>> process_environment();

// Host and port of http.listen; "[::1]:80" for IPv6.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
  bool loopback = false;
};
Result<ListenAddress> parse_listen(std::string_view text);

// A rule of log.retention: a pattern, then an age (90d, 12h, 30m) or a number of events, or both.
Result<RetentionRule> parse_retention_rule(std::string_view text);

// Two words, the first one optional: "RS256 key.pem", "key.pem".
std::pair<std::string, std::string> split_words(std::string_view text);

// The nearest of the names, if any is near enough to be meant.
std::string nearest(std::string_view name, const std::vector<std::string>& names);

}  // namespace belfry
