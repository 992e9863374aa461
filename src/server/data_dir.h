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
// Reads both files, or makes them (0600) where they are missing or empty.
Result<DevSecrets> dev_secrets(const std::string& path);
// A secret from a file, without white space at its end. Code::config_invalid with the reason.
Result<std::string> read_secret(const std::string& file);

// A secret from a file of the data folder, made (0600) if it is missing, or empty.
Result<std::string> read_or_make_secret(const std::string& file);

// Two files of the data folder that belong together, made (0600) if one is missing or empty.
struct PairOfTexts {
  std::string public_text;
  std::string secret_text;
};
Result<void> make_pair_of_files(const std::string& public_file, const std::string& secret_file,
                                Result<PairOfTexts> (*make)());

std::string database_path(const std::string& data_dir);

}  // namespace belfry
