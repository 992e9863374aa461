#pragma once
// Drivers that need a client library are programs of their own beside the binary, loaded when a source
// needs one: so Belfry installs and runs without libpq, librdkafka and libmosquitto.
//
//   <folder of the binary>/modules/belfry-<name>.so, or <…>/../lib/belfry/belfry-<name>.so
//
// Thread: any; once loaded a module stays.

#include <string>
#include <string_view>

#include "ingest/source.h"

namespace belfry::ingest {

inline constexpr int module_interface = 1;  // grows with every change of what stands below

struct InstallRequest {
  std::string url;
  std::string schema;
  bool print_only = false;
};

struct SourceModule {
  int interface = module_interface;
  const char* build = nullptr;  // the release it was built with; must be ours
  Result<void> (*run)(SourceContext& context) = nullptr;
  // What the origin needs for it: SQL, as text; and puts it there unless print_only. Null: nothing.
  Result<std::string> (*install)(const InstallRequest& request) = nullptr;
};

// Code::config_invalid if there is none, or it is of another release; the text says how to get it.
Result<const SourceModule*> load_module(std::string_view name);

}  // namespace belfry::ingest

// What a module exports.
extern "C" const belfry::ingest::SourceModule* belfry_source_module();
