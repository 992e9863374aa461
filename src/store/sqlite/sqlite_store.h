#pragma once
// The embedded store: one SQLite database in WAL mode, one connection that writes and checkpoints
// (SQLite 3.40 has a WAL-reset defect that only a second writer or checkpointer can meet), read-only
// connections for readers.

#include <memory>
#include <string>

#include "store/store.h"

namespace belfry {

struct SqliteOptions {
  std::string path;                  // of the database file; its folder must exist
  std::string vfs;                   // empty: the default; tests pass one that forgets unsynced writes
  std::string synchronous = "FULL";  // only tests plant anything else, to see that it is caught
};

// Opens or creates the file. Code::store_failed with the reason (permissions, not a database, newer schema,
// locked by another process).
Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options);

}  // namespace belfry
