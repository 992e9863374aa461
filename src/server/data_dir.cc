#include "server/data_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/api.h"

namespace belfry {
namespace {

Error io_error(const std::string& what, const std::string& path) {
  return fail(Code::config_invalid, what + " " + path + ": " + std::strerror(errno));
}

}  // namespace

Result<void> write_secret(const std::string& file, const std::string& text) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return io_error("Cannot create", file);
  const std::string line = text + "\n";
  const bool written = ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       ::fsync(descriptor) == 0;
  ::close(descriptor);
  if (!written) return io_error("Cannot write", file);
  return {};
}

namespace {

Result<std::string> read_or_make(const std::string& file, std::string (*make)()) {
  if (std::filesystem::exists(file)) return read_secret(file);
  const std::string secret = make();
  TRY(write_secret(file, secret));
  return secret;
}

}  // namespace

Result<void> make_data_dir(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path folder(path);
  if (std::filesystem::is_directory(folder, failed)) return {};
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), failed);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return io_error("Cannot create the folder", path);
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
  if (!stream) return io_error("Cannot read", file);
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

std::string database_path(const std::string& data_dir) { return data_dir + "/belfry.db"; }

}  // namespace belfry
