// Configuration files: a problem is told with its place, and never a secret.
#include <unistd.h>

#include <fstream>

#include "fuzz.h"
#include "server/config.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string file = "/tmp/belfry-fuzz-" + std::to_string(::getpid()) + ".toml";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const LoadedConfig loaded = load_config({file, {}, {}});
  for (const auto& problem : loaded.problems) CHECK(!problem.where.empty() && !problem.text.empty());
  for (const auto& field : config_fields()) CHECK(!config_value(loaded.config, field).empty());
  ::unlink(file.c_str());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_listen(text);
  (void)parse_retention_rule(text);
  return 0;
}
