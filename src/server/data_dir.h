#pragma once
// The folder of a server's state: belfry.db, and in dev mode the secrets it made for itself.

#include <string>

#include "base/base.h"

namespace belfry {

struct DevSecrets {
  std::string jwt_secret;   // file jwt_secret
  std::string backend_key;  // file backend_key
};

// Creates the folder (0700) if it is missing.
Result<void> make_data_dir(const std::string& path);
// Reads both files, or makes them (0600).
Result<DevSecrets> dev_secrets(const std::string& path);
// A secret from a file, without white space at its end. Code::config_invalid with the reason.
Result<std::string> read_secret(const std::string& file);

// A new file that only its owner may read; flushed.
Result<void> write_secret(const std::string& file, const std::string& text);

// A secret from a file of the data folder, made (0600) if it is missing.
Result<std::string> read_or_make_secret(const std::string& file);

std::string database_path(const std::string& data_dir);

}  // namespace belfry
