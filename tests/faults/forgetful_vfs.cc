#include "forgetful_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace belfry::faults {
namespace {

constexpr std::uint64_t kSector = 512;

struct State {
  std::map<std::string, FileHistory> files;  // by full path
  Trouble trouble;
  std::uint64_t syncs = 0;
};
State state;

sqlite3_vfs* real() {
  static sqlite3_vfs* found = sqlite3_vfs_find("unix");
  return found;
}

// SQLite allocates szOsFile bytes for a file: ours first, the real one right behind it.
struct File {
  sqlite3_file base;
  FileHistory* history;  // null for files whose loss does not matter
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File& mine(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
sqlite3_file* inner(sqlite3_file* file) { return mine(file).inner(); }

int close_file(sqlite3_file* file) { return inner(file)->pMethods->xClose(inner(file)); }
int read_file(sqlite3_file* file, void* to, int count, sqlite3_int64 at) {
  return inner(file)->pMethods->xRead(inner(file), to, count, at);
}

int write_file(sqlite3_file* file, const void* from, int count, sqlite3_int64 at) {
  if (state.trouble.full_write_at > 0 && --state.trouble.full_write_at == 0)
    state.trouble.full_write_at = 1;
  if (state.trouble.full_write_at == 1) return SQLITE_FULL;
  if (FileHistory* history = mine(file).history)
    history->since.push_back({static_cast<std::uint64_t>(at),
                              std::string(static_cast<const char*>(from), static_cast<std::size_t>(count)),
                              false});
  return inner(file)->pMethods->xWrite(inner(file), from, count, at);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (FileHistory* history = mine(file).history)
    history->since.push_back({static_cast<std::uint64_t>(size), {}, true});
  return inner(file)->pMethods->xTruncate(inner(file), size);
}

void apply(std::string& contents, const Write& write) {
  if (write.truncate) {
    contents.resize(std::min<std::size_t>(contents.size(), write.offset));
    return;
  }
  if (contents.size() < write.offset + write.bytes.size())
    contents.resize(write.offset + write.bytes.size());
  contents.replace(write.offset, write.bytes.size(), write.bytes);
}

int sync_file(sqlite3_file* file, int flags) {
  if (state.trouble.fail_sync_at > 0 && --state.trouble.fail_sync_at == 0) return SQLITE_IOERR_FSYNC;
  ++state.syncs;
  (void)flags;
  if (FileHistory* history = mine(file).history) {
    for (const auto& write : history->since) apply(history->synced, write);
    history->since.clear();
  }
  return SQLITE_OK;  // what the disk of the test machine holds does not matter
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return inner(file)->pMethods->xFileSize(inner(file), size);
}
int lock(sqlite3_file* file, int level) { return inner(file)->pMethods->xLock(inner(file), level); }
int unlock(sqlite3_file* file, int level) { return inner(file)->pMethods->xUnlock(inner(file), level); }
int check_lock(sqlite3_file* file, int* out) {
  return inner(file)->pMethods->xCheckReservedLock(inner(file), out);
}
int control(sqlite3_file* file, int what, void* argument) {
  return inner(file)->pMethods->xFileControl(inner(file), what, argument);
}
int sector_size(sqlite3_file*) { return static_cast<int>(kSector); }
// What SQLite's own for Unix promises: a write that is cut short harms no bytes beside it. Writes may be
// torn and reordered. (Without it SQLite fills sectors up after the last frame of a commit, and a disk that
// is full then would refuse what is stored.)
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  if (extend != 0 && state.trouble.full_index_at >= 0 && page >= state.trouble.full_index_at) {
    errno = ENOSPC;
    return SQLITE_IOERR_SHMSIZE;
  }
  return inner(file)->pMethods->xShmMap(inner(file), page, size, extend, out);
}
int shm_lock(sqlite3_file* file, int at, int count, int flags) {
  return inner(file)->pMethods->xShmLock(inner(file), at, count, flags);
}
void shm_barrier(sqlite3_file* file) { inner(file)->pMethods->xShmBarrier(inner(file)); }
int shm_unmap(sqlite3_file* file, int remove) {
  return inner(file)->pMethods->xShmUnmap(inner(file), remove);
}

const sqlite3_io_methods* methods() {
  static const sqlite3_io_methods table = [] {
    sqlite3_io_methods made{};
    made.iVersion = 2;
    made.xClose = close_file;
    made.xRead = read_file;
    made.xWrite = write_file;
    made.xTruncate = truncate_file;
    made.xSync = sync_file;
    made.xFileSize = file_size;
    made.xLock = lock;
    made.xUnlock = unlock;
    made.xCheckReservedLock = check_lock;
    made.xFileControl = control;
    made.xSectorSize = sector_size;
    made.xDeviceCharacteristics = characteristics;
    made.xShmMap = shm_map;
    made.xShmLock = shm_lock;
    made.xShmBarrier = shm_barrier;
    made.xShmUnmap = shm_unmap;
    return made;
  }();
  return &table;
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  File& made = mine(file);
  const int code = real()->xOpen(real(), name, made.inner(), flags, out_flags);
  made.base.pMethods = code == SQLITE_OK ? methods() : nullptr;
  const bool kept =
      name != nullptr && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
  made.history = kept ? &state.files[name] : nullptr;
  return code;
}

int delete_file(sqlite3_vfs*, const char* name, int sync_folder) {
  state.files.erase(name);
  return real()->xDelete(real(), name, sync_folder);
}

}  // namespace

const char* forgetful_vfs() {
  static sqlite3_vfs made = [] {
    sqlite3_vfs copy = *real();
    copy.zName = "forgetful";
    copy.szOsFile = static_cast<int>(sizeof(File)) + real()->szOsFile;
    copy.xOpen = open_file;
    copy.xDelete = delete_file;
    copy.pNext = nullptr;
    return copy;
  }();
  static const int registered = sqlite3_vfs_register(&made, 0);
  CHECK(registered == SQLITE_OK);
  state = State{};
  return made.zName;
}

Trouble& trouble() { return state.trouble; }
std::uint64_t syncs() { return state.syncs; }

void image(const std::string& folder, std::mt19937_64& random) {
  for (const auto& [path, history] : state.files) {
    std::string contents = history.synced;
    // Between nothing and nearly everything reached the disk.
    const std::uint64_t percent = random() % 101;
    for (const auto& write : history.since) {
      if (write.truncate) {
        if (random() % 100 < percent) apply(contents, write);
        continue;
      }
      for (std::uint64_t at = 0; at < write.bytes.size();) {
        const std::uint64_t end =
            std::min<std::uint64_t>(write.bytes.size(), at + kSector - (write.offset + at) % kSector);
        if (random() % 100 < percent)
          apply(contents, {write.offset + at, write.bytes.substr(at, end - at), false});
        at = end;
      }
    }
    const auto name = std::filesystem::path(path).filename();
    std::ofstream(std::filesystem::path(folder) / name, std::ios::binary) << contents;
  }
}

}  // namespace belfry::faults
