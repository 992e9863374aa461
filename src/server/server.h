#pragma once
// Puts the house together: builds every part, joins them, and takes them down again in order. The only room
// that names a backend.

#include <functional>
#include <string>

#include "server/config.h"
#include "server/data_dir.h"
#include "server/data_files.h"
#include "server/keys.h"

namespace belfry {

enum class ServerMode { serve, dev, dev_tls };

// Runs until SIGTERM or SIGINT; a second one exits at once. On SIGHUP `reread` gives the configuration
// anew; what is marked `at_once` counts from then on, if there is no problem. Returns the exit code: 0
// ended as asked, 1 failed to start, 3 configuration not valid, 74 the store failed.
int run_server(const Config& config, ServerMode mode, const std::function<LoadedConfig()>& reread);

}  // namespace belfry
