#pragma once
// A webhook with a secret in a file, as the targets event_grid and signature need it.

#include <fstream>
#include <memory>

#include "fuzz.h"
#include "ingest/ingest.h"
#include "testing/temporary_folder.h"

namespace belfry::fuzz {

inline constexpr std::string_view webhook_secret = "a secret of thirty-two bytes ...";

inline std::unique_ptr<ingest::Webhook> webhook(const std::string& kind, const std::string& scheme) {
  const testing::TemporaryFolder folder;
  const std::string file = folder.path("secret");
  std::ofstream(file) << webhook_secret;
  ingest::SourceConfig config;
  config.name = "fuzz";
  config.kind = kind;
  config.settings["secret_files"] = {file};
  if (!scheme.empty()) config.settings["scheme"] = {scheme};
  CHECK(ingest::complete(config));
  static const ManualClock clock;
  auto opened = ingest::Webhook::open(config, clock);
  CHECK(opened);
  return std::move(opened).value();
}

// "name: value" lines up to an empty one.
inline std::vector<std::pair<std::string, std::string>> headers_of(Input& input) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!input.empty() && out.size() < 8) {
    const auto line = input.line();
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) out.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  return out;
}

}  // namespace belfry::fuzz
