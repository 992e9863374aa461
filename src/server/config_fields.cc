// The table of all settings.

#include "server/config.h"

namespace belfry {
namespace {

const std::vector<ConfigField> http_fields{
    {"http.listen", "Address and port to listen on; port 0 lets the system choose.", &Config::http_listen},
    {"http.connections_max", "Most open connections; the system's limit on descriptors may be lower.",
     &Config::http_connections_max, 1, 1'000'000},
    {"http.allowed_origins",
     "Web origins that may read answers (CORS), each exact.",
     &Config::http_allowed_origins,
     0,
     0,
     {},
     true},
    {"http.tls_certificate_file",
     "Certificate chain (PEM); with it the server speaks TLS only.",
     &Config::http_tls_certificate_file,
     0,
     0,
     {},
     true},
    {"http.tls_key_file", "Its private key (PEM).", &Config::http_tls_key_file, 0, 0, {}, true},
    {"http.heartbeat_s",
     "Seconds between two heartbeats of a stream, below what proxies wait for; 0: none.",
     &Config::http_heartbeat_s, 0, 3600},
    {"http.trusted_proxies",
     "Addresses of proxies in front, such as 10.0.0.0/8; what they say about the client counts.",
     &Config::http_trusted_proxies},
    {"http.proxy_protocol", "Every connection comes from one of them and begins with a PROXY header.",
     &Config::http_proxy_protocol},
    {"http.forwarded_header",
     "The header in which those proxies name the client; they must overwrite or extend it.",
     &Config::http_forwarded_header,
     0,
     0,
     {"x-forwarded-for", "forwarded"}},
};

const std::vector<ConfigField> limits_fields{
    {"limits.streams_per_second",
     "New streams a second; more are told to come back later.",
     &Config::limits_streams_per_second,
     1,
     1'000'000,
     {},
     true},
    {"limits.streams_per_user",
     "Streams and waiting polls of one user at a time.",
     &Config::limits_streams_per_user,
     1,
     1'000'000,
     {},
     true},
    {"limits.streams_per_address",
     "Streams and connections from one address at a time; loopback and trusted proxies are free.",
     &Config::limits_streams_per_address,
     1,
     1'000'000,
     {},
     true},
    {"limits.memory_bytes",
     "Memory at which the server sheds load; 0: what the system allows it, or half of the machine's.",
     &Config::limits_memory_bytes,
     0,
     std::uint64_t{1} << 44,
     {},
     true},
};

const std::vector<ConfigField> log_fields{
    {"store.path", "Folder of the database; created if missing.", &Config::store_path},
    {"log.tail_bytes", "Memory for the newest events, in bytes.", &Config::log_tail_bytes, 1 << 20,
     std::uint64_t{1} << 40},
    {"log.retention_days",
     "Events older than this are removed; 0 keeps them for ever.",
     &Config::log_retention_days,
     0,
     36'500,
     {},
     true},
    {"log.retention",
     "Rules for some topics, the first that matches counts: a pattern, then an age, a number of events, "
     "or "
     "both, such as \"users/# 30d 10000\".",
     &Config::log_retention,
     0,
     0,
     {},
     true},
    {"log.ephemeral", "Patterns of topics whose events are delivered but not stored.",
     &Config::log_ephemeral},
    {"presence.topics", "Patterns of the topics that tell who is attached, joins and leaves.",
     &Config::presence_topics},
};

const std::vector<ConfigField> auth_fields{
    {"auth.jwt_secret_file",
     "File with the HS256 secret of users' tokens, at least 32 bytes.",
     &Config::auth_jwt_secret_file,
     0,
     0,
     {},
     true},
    {"auth.backend_key_files",
     "Files with one backend key each.",
     &Config::auth_backend_key_files,
     0,
     0,
     {},
     true},
    {"auth.public_key_files",
     "Public keys of users' tokens (PEM), each with its algorithm in front if it is not the usual one of "
     "its kind: \"PS256 /etc/belfry/key.pem\".",
     &Config::auth_public_key_files,
     0,
     0,
     {},
     true},
    {"auth.jwks",
     "Issuers of users' tokens, each with the file or URL of its JSON Web Key Set: "
     "\"https://id.example.com https://id.example.com/.well-known/jwks.json\".",
     &Config::auth_jwks,
     0,
     0,
     {},
     true},
    {"auth.issuer",
     "What the claim iss must be, where the key belongs to no issuer; empty: anything. A change ends "
     "what such tokens opened.",
     &Config::auth_issuer,
     0,
     0,
     {},
     true},
    {"auth.audience",
     "What the claim aud must hold; empty: not asked. A change ends what tokens of users opened.",
     &Config::auth_audience,
     0,
     0,
     {},
     true},
    {"auth.cookie",
     "Name of a cookie that may carry the token instead of the Authorization header; empty: none.",
     &Config::auth_cookie},
};

const std::vector<ConfigField> server_fields{
    {"server.shards", "Threads that serve connections; 0: one per core.", &Config::server_shards, 0, 256},
    {"server.shutdown_timeout_s", "Seconds to finish on SIGTERM.", &Config::server_shutdown_timeout_s, 0,
     600},
    {"server.log_format",
     "Log lines as text or JSON; auto: text on a terminal.",
     &Config::server_log_format,
     0,
     0,
     {"auto", "text", "json"}},
    {"server.log_level",
     "Least severe lines to write.",
     &Config::server_log_level,
     0,
     0,
     {"debug", "info", "warn", "error"}},
};

}  // namespace

const std::vector<ConfigField>& config_fields() {
  static const std::vector<ConfigField> fields = [] {
    std::vector<ConfigField> all;
    for (const auto* part : {&http_fields, &limits_fields, &log_fields, &auth_fields, &server_fields})
      all.insert(all.end(), part->begin(), part->end());
    return all;
  }();
  return fields;
}

}  // namespace belfry
