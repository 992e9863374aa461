#pragma once
// The kinds of sources: their settings, what they need, and how a record is mapped when nothing is said.
//
// Values; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "ingest/source.h"

namespace belfry::ingest {

struct SettingInfo {
  std::string_view name;
  std::string_view explanation;
  bool required = false;
  bool list = false;
  std::string_view standard = {};              // value if it is not set
  std::vector<std::string_view> choices = {};  // empty: any text
};

struct SourceKind {
  std::string_view name;
  std::string_view module;  // of the program beside the binary; empty: built in
  std::string_view explanation;
  bool webhook = false;  // comes in over HTTP: no thread
  std::vector<SettingInfo> settings;
};

const std::vector<SourceKind>& source_kinds();
const SourceKind* find_kind(std::string_view name);

// Standards filled in, everything checked that can be without the origin. Code::config_invalid; the error's
// field names the setting, or the part of a rule ("map[2].topic").
Result<void> complete(SourceConfig& config);
// REQUIRES: complete.
Result<Mapping> mapping_of(const SourceConfig& config);

}  // namespace belfry::ingest
