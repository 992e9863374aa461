#pragma once
// A file system for SQLite that knows what a power cut would leave: every file as it was at its last sync,
// and since then the writes that may or may not have reached the disk, in sectors, in any order. Everything
// is kept in memory; image() writes one possible aftermath into a folder.
//
// It wraps SQLite's own VFS, so the database works as always; shared memory and locks are the real ones.
// Thread: one test at a time.

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/base.h"

namespace belfry::faults {

struct Write {
  std::uint64_t offset = 0;
  std::string bytes;  // empty: a truncation to `offset`
  bool truncate = false;
};

struct FileHistory {
  std::string synced;        // contents at the last sync
  std::vector<Write> since;  // writes after it, in order
};

// What is to go wrong. Counts begin at the moment they are set.
struct Trouble {
  int fail_sync_at = 0;   // the n-th sync from now on fails with EIO; 0: none
  int full_write_at = 0;  // the n-th write from now on, and all after it, meet a full disk; 0: none
  int full_index_at = -1;  // this region of the wal-index, and those after it, meet one; -1: none
};

// Registers the VFS under its name, once per process, and forgets everything it knew.
const char* forgetful_vfs();
Trouble& trouble();
// How many syncs there were since forgetful_vfs().
std::uint64_t syncs();

// Writes one aftermath of a power cut at this moment into `folder`: each file as last synced, and a random
// subset of the 512-byte sectors written since. Shared memory (-shm) does not survive.
void image(const std::string& folder, std::mt19937_64& random);

}  // namespace belfry::faults
