#pragma once
// The tables [source.NAME] of the configuration file. Private to server.

#include <toml++/toml.h>
#include <functional>

#include "server/config.h"

namespace belfry {

using ToldProblem = std::function<void(toml::source_position at, const std::string& text)>;

// What is good is added to `sources`; what is not is told, with its place.
void read_sources(const toml::table& tables, std::vector<ingest::SourceConfig>& sources,
                  const ToldProblem& problem);

}  // namespace belfry
