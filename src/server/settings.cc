#include "server/settings.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "server/data_dir.h"

namespace belfry {
namespace {

constexpr int kDevCertificateDays = 397;

Result<net::TlsContext> from_files(const std::string& certificate_file, const std::string& key_file) {
  const std::string certificate = TRY(read_secret(certificate_file));
  const std::string key = TRY(read_secret(key_file));
  auto made = net::TlsContext::from_pem(certificate, key);
  if (!made) return fail(Code::config_invalid, certificate_file + ": " + made.error().detail);
  return made;
}

// Headers that every answer carries; nothing of ours is to be framed, sniffed or told to other sites.
std::vector<net::Field> common_headers(bool own_certificate) {
  std::vector<net::Field> out{{"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"},
                              {"X-Frame-Options", "DENY"},
                              {"Cross-Origin-Opener-Policy", "same-origin"}};
  // Not in dev mode: a browser would ask TLS of everything on localhost for a year.
  if (own_certificate) out.emplace_back("Strict-Transport-Security", "max-age=31536000");
  return out;
}

std::uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? number : 0;  // cgroup says "max" where there is no bound
}

}  // namespace

RetentionSettings retention_of(const Config& config) {
  RetentionSettings out;
  std::optional<Duration> general;
  if (config.log_retention_days > 0) general = std::chrono::hours(24) * config.log_retention_days;
  out.longest = general;
  for (const auto& text : config.log_retention) {
    auto rule = parse_retention_rule(text);
    if (!rule) continue;  // load_config has refused it
    if (!rule.value().age) rule.value().age = general;
    if (general && *rule.value().age > *out.longest) out.longest = rule.value().age;
    out.rules.push_back(std::move(rule).value());
  }
  if (general && *out.longest > *general) out.rules.push_back({"#", general, {}});
  return out;
}

AdmissionLimits admission_limits_of(const Config& config) {
  return {config.limits_streams_per_second, config.limits_streams_per_user,
          config.limits_streams_per_address};
}

std::string dev_certificate_path(const Config& config) {
  return config.store_path + "/dev_certificate.pem";
}

Result<net::TlsContext> tls_of(const Config& config, ServerMode mode) {
  if (!config.http_tls_certificate_file.empty())
    return from_files(config.http_tls_certificate_file, config.http_tls_key_file);
  if (mode != ServerMode::dev_tls) return net::TlsContext();
  const std::string certificate = dev_certificate_path(config);
  const std::string key = config.store_path + "/dev_key.pem";
  const auto make = []() -> Result<PairOfTexts> {
    auto pair = TRY(net::make_certificate({"localhost", "127.0.0.1", "::1"}, SystemClock().wall(),
                                          kDevCertificateDays));
    return PairOfTexts{std::move(pair.certificate), std::move(pair.key)};
  };
  TRY(make_pair_of_files(certificate, key, make));
  return from_files(certificate, key);
}

net::HttpServerOptions http_options_of(const Config& config, const ListenAddress& listen) {
  net::HttpServerOptions out;
  out.address = listen.host;
  out.port = listen.port;
  out.trusted_proxies = net::Networks::parse(config.http_trusted_proxies).value();
  auto free = config.http_trusted_proxies;
  free.insert(free.end(), {"127.0.0.0/8", "::1"});
  out.free_addresses = net::Networks::parse(free).value();
  out.headers = common_headers(!config.http_tls_certificate_file.empty());
  out.proxy_protocol = config.http_proxy_protocol;
  out.forwarded = config.http_forwarded_header == "forwarded" ? net::ForwardedHeader::forwarded
                                                              : net::ForwardedHeader::x_forwarded_for;
  return out;
}

ApiOptions api_options_of(const Config& config, ServerMode mode, std::string ticket_secret) {
  ApiOptions out;
  out.allowed_origins = config.http_allowed_origins;
  out.dev = mode != ServerMode::serve;
  out.cookie = config.auth_cookie;
  out.ticket_secret = std::move(ticket_secret);
  out.presence = config.presence_topics;
  return out;
}

std::size_t connections_max(const Config& config) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto room = static_cast<std::size_t>(limit.rlim_cur);
  const std::size_t reserve = std::min(limits::descriptors_reserved, room / 2);
  return std::min<std::size_t>(config.http_connections_max, room - reserve);
}

std::uint64_t memory_limit(const Config& config) {
  if (config.limits_memory_bytes > 0) return config.limits_memory_bytes;
  if (const std::uint64_t allowed = number_in("/sys/fs/cgroup/memory.max"); allowed > 0) return allowed;
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
}

std::size_t request_bytes_max(const Config& config) {
  return std::max<std::size_t>(memory_limit(config) / 8, 2 * limits::body_bytes_max);
}

std::uint64_t memory_used() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::vector<std::string> keep_running(const Config& running, Config& fresh) {
  std::vector<std::string> out;
  for (const ConfigField& field : config_fields()) {
    if (field.at_once || config_value(running, field) == config_value(fresh, field)) continue;
    out.emplace_back(field.name);
    std::visit([&](auto member) { fresh.*member = running.*member; }, field.member);
  }
  if (fresh.sources != running.sources) {
    out.emplace_back("source");
    fresh.sources = running.sources;
  }
  return out;
}

void announce(const Config& config, ServerMode mode, const std::string& url, const Clock& clock) {
  if (mode == ServerMode::serve) {
    std::printf("%s\n", url.c_str());
    std::fflush(stdout);
    return;
  }
  const auto secrets = dev_secrets(config.store_path);
  if (!secrets) return;
  const Timestamp now = clock.wall();
  const auto token_of = [&](const char* user) {
    return mint_token({user, {}, {}, now, now + std::chrono::hours(24), {}}, secrets.value().jwt_secret);
  };
  const std::string token = token_of("ana"), second = token_of("bob");
  const std::string& key = secrets.value().backend_key;
  std::string trust;  // what curl needs to know
  std::printf("Belfry is running, for development only: %s\n\n", url.c_str());
  if (mode == ServerMode::dev_tls) {
    const std::string file = dev_certificate_path(config);
    trust = "--cacert " + file + " ";
    const auto pem = read_secret(file);
    std::printf(
        "  Certificate  %s\n               SHA-256 %s\n               Its own: a browser asks once.\n",
        file.c_str(), pem ? net::certificate_fingerprint(pem.value()).c_str() : "");
  }
  std::printf(
      "  Data         %s\n"
      "  Backend key  %s\n"
      "  Token (ana)  %s\n\n"
      "See it in a browser, with the feeds of ana and bob, already filled in:\n\n"
      "  %s/#token=%s&second=%s&key=%s\n\n"
      "Or listen as ana in one terminal:\n\n"
      "  curl %s-N -H 'Accept: text/event-stream' -H 'Authorization: Bearer %s' "
      "'%s/v1/events?topic=users/ana'\n\n"
      "and publish in another:\n\n"
      "  curl %s-H 'Authorization: Bearer %s' -H 'Content-Type: application/json' \\\n"
      "    -d '{\"topic\":\"users/ana\",\"type\":\"booking.confirmed\",\"data\":{\"booking\":7}}' "
      "%s/v1/events\n\n"
      "Ctrl-C stops it; the data stays.\n",
      config.store_path.c_str(), key.c_str(), token.c_str(), url.c_str(), token.c_str(), second.c_str(),
      key.c_str(), trust.c_str(), token.c_str(), url.c_str(), trust.c_str(), key.c_str(), url.c_str());
  std::fflush(stdout);
}

}  // namespace belfry
