#include "server/data_dir.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/api.h"
#include "base/whole_file.h"

namespace belfry {
namespace {

// A file of our own that is empty was left behind by a version that made it on a full disk.
bool is_there(const std::string& file) {
  std::error_code failed;
  return std::filesystem::exists(file, failed) &&
         (!std::filesystem::is_regular_file(file, failed) || std::filesystem::file_size(file, failed) > 0);
}

std::string folder_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

Result<std::string> read_or_make(const std::string& file, std::string (*make)()) {
  if (is_there(file)) return read_secret(file);
  const auto lock = TRY(FolderLock::take(folder_of(file)));
  if (is_there(file)) return read_secret(file);  // another process was first
  const std::string secret = make();
  TRY(replace_file(file, secret + "\n"));
  return secret;
}

}  // namespace

Result<void> make_data_dir(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path folder(path);
  if (std::filesystem::is_directory(folder, failed)) return {};
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), failed);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return file_error("Cannot create the folder", path);
  if (!std::filesystem::is_directory(folder, failed))
    return fail(Code::config_invalid, path + " is not a folder.");
  return {};
}

Result<DevSecrets> dev_secrets(const std::string& path) {
  TRY(make_data_dir(path));
  DevSecrets secrets;
  secrets.jwt_secret = TRY(read_or_make(path + "/jwt_secret", make_jwt_secret));
  secrets.backend_key = TRY(read_or_make(path + "/backend_key", make_backend_key));
  return secrets;
}

Result<std::string> read_secret(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return file_error("Cannot read", file);
  std::stringstream text;
  text << stream.rdbuf();
  std::string secret = text.str();
  while (!secret.empty() && std::isspace(static_cast<unsigned char>(secret.back()))) secret.pop_back();
  if (secret.empty()) return fail(Code::config_invalid, file + " is empty.");
  return secret;
}

Result<std::string> read_or_make_secret(const std::string& file) {
  return read_or_make(file, make_jwt_secret);
}

Result<void> make_pair_of_files(const std::string& public_file, const std::string& secret_file,
                                Result<PairOfTexts> (*make)()) {
  if (is_there(public_file) && is_there(secret_file)) return {};
  const auto lock = TRY(FolderLock::take(folder_of(public_file)));
  if (is_there(public_file) && is_there(secret_file)) return {};
  const PairOfTexts pair = TRY(make());
  // In this order a pair whose making was cut short is one that has no public half, and is made anew.
  std::error_code failed;
  std::filesystem::remove(public_file, failed);
  TRY(replace_file(secret_file, pair.secret_text));
  return replace_file(public_file, pair.public_text);
}

std::string database_path(const std::string& data_dir) { return data_dir + "/belfry.db"; }

}  // namespace belfry
