#pragma once
// What the configuration means for each part.

#include "net/net.h"
#include "server/config.h"
#include "server/server.h"
#include "server/threads.h"

namespace belfry {

// The whole log is trimmed by the longest age of all; what is to go sooner, topic by topic.
RetentionSettings retention_of(const Config& config);

AdmissionLimits admission_limits_of(const Config& config);

// The certificate of the configuration; of dev mode, one of its own, made in the data folder if it is
// missing. None: plain text. Code::config_invalid with the file that is wrong.
Result<net::TlsContext> tls_of(const Config& config, ServerMode mode);
std::string dev_certificate_path(const Config& config);

// REQUIRES: load_config has found no problem.
net::HttpServerOptions http_options_of(const Config& config, const ListenAddress& listen);
ApiOptions api_options_of(const Config& config, ServerMode mode, std::string ticket_secret);

// As many connections as descriptors allow, less a reserve for the store and the server itself.
std::size_t connections_max(const Config& config);

// Memory at which load is shed: limits.memory_bytes, or what the control group allows, or half of the
// machine's.
std::uint64_t memory_limit(const Config& config);
// Of that, what requests may hold before they are answered: an eighth.
std::size_t request_bytes_max(const Config& config);
// What the process holds now (resident).
std::uint64_t memory_used();

// Puts settings that count only after a restart back to what runs; the names of those that differed.
std::vector<std::string> keep_running(const Config& running, Config& fresh);

// What people see when it starts.
void announce(const Config& config, ServerMode mode, const std::string& url, const Clock& clock);

}  // namespace belfry
