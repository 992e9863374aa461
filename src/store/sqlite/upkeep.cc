#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/whole_file.h"
#include "store/sqlite/database.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/source_rows.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {
namespace {

Result<sqlite::Database> open_to_read(const std::string& path) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) return fail(Code::store_failed, "There is no " + path + ".");
  sqlite::Database database = TRY(sqlite::Database::open(path, SQLITE_OPEN_READONLY, {}));
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return database;
}

Result<std::uint64_t> number(sqlite::Database& database, std::string_view sql) {
  sqlite::Statement statement = TRY(database.prepare(sql));
  TRY(statement.step());
  return sqlite::to_unsigned(statement.integer(0));
}

// SQLite throws the WAL of a file away that it takes for empty; it may be all that is left of it.
bool is_database(const std::string& path) {
  std::string head(16, '\0');
  std::ifstream(path).read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.starts_with("SQLite format 3");
}

}  // namespace

// SQLite writes into a file that is there already if it is empty, so it is made by us, for us only.
Result<std::unique_ptr<FileInMaking>> copy_database(const std::string& path, const std::string& to,
                                                    FileInMaking::Owner owner) {
  sqlite::Database database = TRY(open_to_read(path));
  auto file = TRY(FileInMaking::beside(to, owner));
  sqlite::Statement copy = TRY(database.prepare("VACUUM INTO ?"));
  auto done = copy.bind(1, std::string_view(file->path())).run();
  if (!done && done.error().code == Code::store_full)
    return fail(Code::store_full, "There is no room for " + to + "; nothing of it is left.");
  if (!done) return std::move(done).error();
  return file;
}

Result<void> backup_database(const std::string& path, const std::string& to) {
  std::error_code failed;
  if (std::filesystem::exists(to, failed)) return fail(Code::store_failed, to + " exists already.");
  const auto file = TRY(copy_database(path, to, FileInMaking::Owner::caller));
  return file->take_free_place();
}

Result<void> fold_wal(const std::string& path) {
  if (!is_database(path)) return fail(Code::store_failed, path + " is not a database.");
  sqlite::Database database = TRY(sqlite::Database::open(path, SQLITE_OPEN_READWRITE, {}));
  return database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> keep_revocations(const std::string& from, const std::string& to) {
  if (!is_database(from)) return {};
  sqlite::Database database = TRY(sqlite::Database::open(to, SQLITE_OPEN_READWRITE, {}));
  TRY(sqlite::prepare_schema(database));
  {
    sqlite::Statement attach = TRY(database.prepare("ATTACH ? AS kept"));
    TRY(attach.bind(1, std::string_view(from)).run());
  }
  const std::uint64_t tables = TRY(number(
      database, "SELECT count(*) FROM kept.sqlite_schema WHERE type = 'table' AND name = 'revocations'"));
  if (tables == 0) return {};
  return database.execute(
      "INSERT INTO main.revocations SELECT user, token_id, not_before, forget FROM kept.revocations WHERE "
      "true ON CONFLICT DO UPDATE SET not_before = max(not_before, excluded.not_before), forget = "
      "max(forget, excluded.forget)");
}

Result<std::vector<std::string>> check_database(const std::string& path, DatabaseSummary& summary) {
  sqlite::Database database = TRY(open_to_read(path));
  std::vector<std::string> problems;
  TRY(database.execute("BEGIN"));
  {
    sqlite::Statement check = TRY(database.prepare("PRAGMA integrity_check(20)"));
    while (TRY(check.step()))
      if (check.text(0) != "ok") problems.push_back(check.text(0));
  }
  summary.events = TRY(number(database, "SELECT count(*) FROM events"));
  summary.head = TRY(number(database, sqlite::head_sql));
  summary.topics = TRY(number(database, "SELECT count(*) FROM topics"));
  summary.users = TRY(number(database, "SELECT count(DISTINCT user) FROM follows"));
  summary.epochs = TRY(number(database, "SELECT count(*) FROM epochs"));
  const auto expect_none = [&](std::string_view sql, const std::string& what) -> Result<void> {
    const std::uint64_t count = TRY(number(database, sql));
    if (count > 0) problems.push_back(std::to_string(count) + " " + what);
    return {};
  };
  TRY(expect_none("SELECT count(*) FROM events WHERE topic NOT IN (SELECT id FROM topics)",
                  "events of topics that are not known"));
  TRY(
      expect_none("SELECT count(*) FROM notifications n WHERE NOT EXISTS (SELECT 1 FROM events e WHERE "
                  "e.offset = n.offset)",
                  "notifications without their event"));
  TRY(database.execute("CREATE VIRTUAL TABLE temp.indexed USING fts5vocab(main, topic_offsets, instance)"));
  TRY(expect_none(
      "SELECT (SELECT count(*) FROM events WHERE offset <= (SELECT value FROM meta WHERE name = "
      "'indexed')) - (SELECT count(*) FROM temp.indexed i JOIN events e ON e.offset = i.doc AND "
      "e.topic = i.term)",
      "events that the index has lost"));
  TRY(
      expect_none("SELECT count(*) FROM temp.indexed i WHERE NOT EXISTS (SELECT 1 FROM events e WHERE "
                  "e.offset = i.doc AND e.topic = i.term)",
                  "entries of the index without their event"));
  TRY(
      expect_none("SELECT count(*) FROM lanes l WHERE dead <> (SELECT count(*) FROM dead d WHERE d.lane = "
                  "l.id)",
                  "topics whose counts are wrong"));
  return problems;
}

Result<std::vector<DeadLetter>> dead_letters_of(const std::string& path, std::string_view source,
                                                std::size_t rows_max) {
  sqlite::Database database = TRY(open_to_read(path));
  sqlite::Statement select = TRY(database.prepare(sqlite::dead_letters_sql));
  return sqlite::read_dead_letters(select, source, rows_max);
}

Result<void> check_unused(const std::string& path) {
  const int file = ::open((path + ".lock").c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return {};
  const bool free = ::flock(file, LOCK_EX | LOCK_NB) == 0;
  ::close(file);
  if (!free) return fail(Code::store_failed, "A server has " + path + " open. Stop it first.");
  return {};
}

}  // namespace belfry
