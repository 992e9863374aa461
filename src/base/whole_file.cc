#include "base/whole_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/random.h"

namespace belfry {
namespace {

constexpr int kAttemptsMax = 16;  // at a name of its own
constexpr std::string_view kEnding = ".part";
constexpr std::size_t kDigits = 16;

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string name_beside(const std::string& place) {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(random_u64()));
  return place + "." + digits + std::string(kEnding);
}

// Whether a name is one that name_beside gave for a place of this name.
bool is_beside(std::string_view name, std::string_view place) {
  if (name.size() != place.size() + 1 + kDigits + kEnding.size()) return false;
  if (!name.starts_with(place) || name[place.size()] != '.' || !name.ends_with(kEnding)) return false;
  return name.substr(place.size() + 1, kDigits).find_first_not_of("0123456789abcdef") ==
         std::string_view::npos;
}

// SQLite writes a journal beside what it makes.
void remove_with_journal(const std::string& path) {
  ::unlink(path.c_str());
  ::unlink((path + "-journal").c_str());
}

// Nobody holds them any more.
void remove_left_over(const std::string& place) {
  const std::string name = std::filesystem::path(place).filename().string();
  std::error_code failed;
  std::vector<std::string> found;
  for (std::filesystem::directory_iterator at(folder_of(place), failed), end; !failed && at != end;
       at.increment(failed))
    if (is_beside(at->path().filename().string(), name)) found.push_back(at->path().string());
  for (const std::string& path : found) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) continue;
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) remove_with_journal(path);
    ::close(file);
  }
}

// Moves a name to a free one. Where the file system has no such call, by a second name.
bool move_to_free(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS) return false;
  if (::link(from.c_str(), to.c_str()) != 0) return false;
  ::unlink(from.c_str());
  return true;
}

// What it is to replace, else its folder, says whose it is. Who may not give it away keeps it where nobody
// else is to read it: in a folder of its own, or if it replaces nothing.
Result<void> give_to_owner_of(const std::string& place, int file) {
  struct stat there{}, folder{};
  const bool replaces = ::lstat(place.c_str(), &there) == 0;
  if (::stat(folder_of(place).c_str(), &folder) != 0) return file_error("Cannot look at", place);
  const struct stat& owned = replaces ? there : folder;
  const uid_t mine = ::geteuid();
  if (owned.st_uid == mine || ::fchown(file, owned.st_uid, owned.st_gid) == 0) return {};
  if (errno == EPERM && (!replaces || folder.st_uid == mine)) return {};
  return file_error("Cannot give to its owner", place);
}

}  // namespace

Error file_error(std::string_view what, const std::string& path) {
  const int reason = errno;
  const Code code = reason == ENOSPC || reason == EDQUOT ? Code::store_full : Code::config_invalid;
  return fail(code, std::string(what) + " " + path + ": " + std::strerror(reason));
}

Result<void> flush_folder_of(const std::string& path) {
  const std::string folder = folder_of(path);
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A folder that one may write into but not read, or a file system whose folders cannot be flushed.
  if (file < 0 && errno == EACCES) return {};
  const bool done = file >= 0 && (::fsync(file) == 0 || errno == EINVAL);
  const Error error = done ? Error{} : file_error("Cannot flush the folder", folder);
  if (file >= 0) ::close(file);
  if (!done) return error;
  return {};
}

Result<std::unique_ptr<FileInMaking>> FileInMaking::beside(const std::string& place, Owner owner) {
  remove_left_over(place);
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const std::string path = name_beside(place);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST) continue;
    if (file < 0) return file_error("Cannot create", path);
    // Who looks for left-over ones may have taken it for one before it was locked.
    struct stat made{};
    if (::flock(file, LOCK_EX | LOCK_NB) == 0 && ::fstat(file, &made) == 0 && made.st_nlink > 0) {
      std::unique_ptr<FileInMaking> mine(new FileInMaking(place, path, file));
      if (owner == Owner::of_place) TRY(give_to_owner_of(place, file));
      return mine;
    }
    ::unlink(path.c_str());
    ::close(file);
  }
  return fail(Code::config_invalid, "Cannot create a file beside " + place + ".");
}

FileInMaking::~FileInMaking() {
  if (!placed_) remove_with_journal(path_);
  ::close(file_);
}

Result<void> FileInMaking::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("Cannot write", place_);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> FileInMaking::take_place() {
  if (::fsync(file_) != 0) return file_error("Cannot flush", place_);
  if (::rename(path_.c_str(), place_.c_str()) != 0) return file_error("Cannot write", place_);
  placed_ = true;
  return flush_folder_of(place_);
}

Result<void> FileInMaking::take_free_place() {
  if (::fsync(file_) != 0) return file_error("Cannot flush", place_);
  if (!move_to_free(path_, place_)) {
    if (errno == EEXIST) return fail(Code::config_invalid, place_ + " exists already.");
    return file_error("Cannot create", place_);
  }
  placed_ = true;
  auto flushed = flush_folder_of(place_);
  if (!flushed) ::unlink(place_.c_str());
  return flushed;
}

Result<void> write_new_file(const std::string& place, std::string_view text) {
  const auto file = TRY(FileInMaking::beside(place));
  TRY(file->write(text));
  return file->take_free_place();
}

Result<void> replace_file(const std::string& place, std::string_view text) {
  const auto file = TRY(FileInMaking::beside(place));
  TRY(file->write(text));
  return file->take_place();
}

Result<std::unique_ptr<FolderLock>> FolderLock::take(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return file_error("Cannot open the folder", folder);
  while (::flock(file, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const Error error = file_error("Cannot lock the folder", folder);
    ::close(file);
    return error;
  }
  return std::unique_ptr<FolderLock>(new FolderLock(file));
}

FolderLock::~FolderLock() { ::close(folder_); }

}  // namespace belfry
