#pragma once
// The embedded store: one SQLite database in WAL mode, one connection that writes and checkpoints
// (SQLite 3.40 has a WAL-reset defect that only a second writer or checkpointer can meet), read-only
// connections for readers.

#include <memory>
#include <string>
#include <vector>

#include "base/whole_file.h"
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

// What a person does with a database file, also while a server has it open. Only reads: the one writer of a
// database stays the only one that commits and checkpoints. Any thread.
struct DatabaseSummary {
  std::uint64_t events = 0, head = 0, topics = 0, users = 0, epochs = 0;
};

// One consistent copy of everything committed now, flushed, 0600, whole or not at all. Refuses to overwrite.
// A server goes on meanwhile. Code::store_full: there is no room for it.
Result<void> backup_database(const std::string& path, const std::string& to);
// The same, not in its place yet. A backup is its caller's, wherever it lies.
Result<std::unique_ptr<FileInMaking>> copy_database(const std::string& path, const std::string& to,
                                                    FileInMaking::Owner owner);

// Brings the revocations of a database that is given up into the one that takes its place: a revocation only
// ever grows stronger. Without a word if there are none, or `from` is no database. REQUIRES: nobody has
// either open.
Result<void> keep_revocations(const std::string& from, const std::string& to);

// Brings what is in the WAL into the main file, and takes the WAL away. REQUIRES: nobody has it open.
Result<void> fold_wal(const std::string& path);

// What is wrong with it, one sentence each; empty: nothing. `summary` says what is in it.
Result<std::vector<std::string>> check_database(const std::string& path, DatabaseSummary& summary);

// What grows, by table. Counts and sizes that take too long are left out: all of it takes a few seconds at
// most, in short transactions.
struct TableGrowth {
  std::string table;
  std::string part;                    // of its rows; empty: all
  std::optional<std::uint64_t> rows;
  std::optional<std::uint64_t> bytes;  // of the whole table, with its indexes
  std::string ends;                    // who takes rows out, and when
};
struct DatabaseGrowth {
  std::vector<TableGrowth> tables;
  std::uint64_t file_bytes = 0, wal_bytes = 0;
  std::uint64_t free_bytes = 0;  // in the file, for new rows
};
Result<DatabaseGrowth> growth_of(const std::string& path);

// Of one source, newest first.
Result<std::vector<DeadLetter>> dead_letters_of(const std::string& path, std::string_view source,
                                                std::size_t rows_max);

// Code::store_failed if a process has it open for writing.
Result<void> check_unused(const std::string& path);

}  // namespace belfry
