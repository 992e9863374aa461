#include "store/sqlite/disk_room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace belfry::sqlite {
namespace {

// SQLite's format (walformat in its documentation): regions of 32 KiB, each for 4096 frames; the header
// takes the place of 34 in the first.
constexpr std::int64_t kRegionBytes = 32 * 1024;
constexpr int kRegionFrames = 4096;
constexpr int kHeaderFrames = 34;
constexpr std::int64_t kWalHeaderBytes = 32;
constexpr std::int64_t kFrameBytes = 4096 + 24;
// A transaction is bounded (limits::group_bytes_max, housekeeping_rows_max); this is 64 MiB of pages.
constexpr int kTransactionFrames = 16 * 1024;

constexpr std::uint64_t kReserveMost = 4ull * 1024 * 1024;
constexpr std::uint64_t kReserveLeast = 256ull * 1024;
constexpr std::uint64_t kReservePart = 8;  // one of so many of what is free
constexpr std::uint64_t kLeftFree = 64ull * 1024;

std::uint64_t size_of(const std::string& path) {
  struct stat file{};
  return ::stat(path.c_str(), &file) == 0 ? static_cast<std::uint64_t>(file.st_size) : 0;
}

std::uint64_t free_beside(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  struct statvfs disk{};
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &disk) != 0) return 0;
  return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

}  // namespace

int frames_of(const std::string& wal) {
  const auto bytes = static_cast<std::int64_t>(size_of(wal));
  return bytes <= kWalHeaderBytes ? 0 : static_cast<int>((bytes - kWalHeaderBytes) / kFrameBytes) + 1;
}

WalIndexRoom::~WalIndexRoom() {
  if (file_ >= 0) ::close(file_);
}

void WalIndexRoom::open(const std::string& database) {
  file_ = ::open((database + "-shm").c_str(), O_RDWR | O_CLOEXEC);
}

// Only behind the end of the file, where SQLite has nothing yet: where the file system cannot allocate, libc
// writes zeros.
Result<void> WalIndexRoom::grow(int frames) {
  const std::int64_t regions = (frames + kTransactionFrames + kHeaderFrames) / kRegionFrames + 1;
  const std::int64_t wanted = regions * kRegionBytes;
  struct stat now{};
  if (file_ < 0 || ::fstat(file_, &now) != 0) return {};  // another VFS keeps it elsewhere
  if (now.st_size < wanted) {
    int failed = EINTR;
    while (failed == EINTR) failed = ::posix_fallocate(file_, now.st_size, wanted - now.st_size);
    if (failed == ENOSPC || failed == EDQUOT) return fail(Code::store_full);
    if (failed != 0)
      return fail(Code::store_failed, std::string("Cannot make room for the wal-index: ") +
                                          std::strerror(failed));
  }
  enough_until_ = static_cast<int>(regions * kRegionFrames) - kHeaderFrames - kTransactionFrames;
  return {};
}

bool Reserve::give_up() {
  if (size_of(path_) == 0 || ::unlink(path_.c_str()) != 0) return false;
  given_up_ = true;
  return true;
}

void Reserve::hold() {
  hold(std::min(kReserveMost, (size_of(path_) + free_beside(path_)) / kReservePart));
  if (size_of(path_) > 0) given_up_ = false;
}

void Reserve::hold_rest() {
  const std::uint64_t free = free_beside(path_);
  if (free > kLeftFree) hold(std::min(kReserveMost, free - kLeftFree));
}

void Reserve::hold(std::uint64_t wanted) {
  const std::uint64_t held = size_of(path_);
  if (wanted < kReserveLeast || wanted <= held) return;
  const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  if (::posix_fallocate(file, 0, static_cast<off_t>(wanted)) != 0 &&
      ::ftruncate(file, static_cast<off_t>(held)) != 0)
    ::unlink(path_.c_str());
  ::close(file);
  if (size_of(path_) == 0) ::unlink(path_.c_str());
}

}  // namespace belfry::sqlite
