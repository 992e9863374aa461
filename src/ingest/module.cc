#include "ingest/module.h"

#include <dlfcn.h>

#include <filesystem>

namespace belfry::ingest {
namespace {

std::string package_of(std::string_view name) {
  if (name == "postgres") return "libpq (Debian: libpq5; to build: libpq-dev)";
  if (name == "kafka") return "librdkafka (Debian: librdkafka1; to build: librdkafka-dev)";
  return "libmosquitto (Debian: libmosquitto1; to build: libmosquitto-dev)";
}

}  // namespace

Result<const SourceModule*> load_module(std::string_view name) {
  std::error_code failed;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  const std::string file = "belfry-" + std::string(name) + ".so";
  auto path = binary / "modules" / file;
  if (!std::filesystem::exists(path, failed)) path = binary / ".." / "lib" / "belfry" / file;
  if (!std::filesystem::exists(path, failed))
    return fail(Code::config_invalid, "This kind of source needs the module " + file +
                                          ", which is not in " + (binary / "modules").string() +
                                          ". It is built where " + package_of(name) + " is installed.");
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return fail(Code::config_invalid, std::string("The module cannot be loaded: ") + ::dlerror() +
                                          ". It needs " + package_of(name) + ".");
  const auto entry = reinterpret_cast<const SourceModule* (*)()>(::dlsym(handle, "belfry_source_module"));
  const SourceModule* module = entry == nullptr ? nullptr : entry();
  if (module == nullptr || module->interface != module_interface ||
      std::string_view(module->build) != BELFRY_VERSION)
    return fail(Code::config_invalid, path.string() + " is of another release of Belfry.");
  return module;
}

}  // namespace belfry::ingest
