#include "store/sqlite/database.h"

#include <cerrno>

namespace belfry::sqlite {

namespace {

// Files that cannot be made or grow, for want of room. A flush that failed for it is a failed flush.
bool lacks_room(int code, sqlite3* database) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  const bool growing = (code & 0xff) == SQLITE_CANTOPEN || code == SQLITE_IOERR_SHMOPEN ||
                       code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_SHMMAP ||
                       code == SQLITE_IOERR_WRITE;
  if (!growing || database == nullptr) return false;
  const int reason = sqlite3_system_errno(database);
  return reason == ENOSPC || reason == EDQUOT;
}

}  // namespace

Error to_error(int code, std::string_view what, sqlite3* database) {
  if (lacks_room(code, database)) return fail(Code::store_full);
  std::string detail = "SQLite could not " + std::string(what) + ": " + sqlite3_errstr(code);
  if (database != nullptr) detail += std::string(" (") + sqlite3_errmsg(database) + ")";
  return fail(Code::store_failed, detail + "; code " + std::to_string(code) + ".");
}

Statement& Statement::bind(int at, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), at, value);
  return *this;
}

Statement& Statement::bind(int at, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), at, value.data() == nullptr ? "" : value.data(), value.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int at, std::string_view value) {
  sqlite3_bind_blob64(statement_.get(), at, value.data(), value.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_text_or_null(int at, std::string_view value) {
  return value.empty() ? bind_null(at) : bind(at, value);
}

Statement& Statement::bind_null(int at) {
  sqlite3_bind_null(statement_.get(), at);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  sqlite3* database = sqlite3_db_handle(statement_.get());
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  const Error error = to_error(sqlite3_extended_errcode(database), "run a statement", database);
  reset();
  return error;
}

Result<void> Statement::run() {
  TRY(step());
  return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::string Statement::text(int column) const {
  const auto* data = sqlite3_column_blob(statement_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

Result<Database> Database::open(const std::string& path, int flags, const std::string& vfs) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   vfs.empty() ? nullptr : vfs.c_str());
  Database database;
  database.database_.reset(raw);
  if (code != SQLITE_OK) return to_error(code, "open " + path, raw);
  sqlite3_busy_timeout(raw, 5000);
  return database;
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return to_error(code, std::string("run ") + sql, database_.get());
  return {};
}

namespace {

// Of the last call that failed on the WAL. (At a commit sqlite3_system_errno is of an earlier one.)
int wal_errno(sqlite3* database) {
  sqlite3_file* wal = nullptr;
  int reason = 0;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
  if (wal != nullptr && wal->pMethods != nullptr)
    wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &reason);
  return reason;
}

}  // namespace

// A frame that could not be written is no commit. Whatever else fails (a flush, the wal-index, which is
// written to after the last frame) may have come after it.
Result<void> Database::commit() {
  sqlite3* database = database_.get();
  const int code = sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  if ((code & 0xff) == SQLITE_FULL) return fail(Code::store_full);
  if (code == SQLITE_IOERR_WRITE && wal_errno(database) == EDQUOT) return fail(Code::store_full);
  Error error = to_error(code, "commit", database);
  error.code = Code::store_failed;
  return error;
}

// SQLite counts each statement in an int, which is set back each time it is read.
std::uint64_t Database::work() const {
  sqlite3* handle = database_.get();
  for (sqlite3_stmt* each = sqlite3_next_stmt(handle, nullptr); each != nullptr;
       each = sqlite3_next_stmt(handle, each))
    work_ += static_cast<std::uint32_t>(sqlite3_stmt_status(each, SQLITE_STMTSTATUS_VM_STEP, 1));
  return work_;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return to_error(code, "prepare a statement", database_.get());
  return Statement(statement);
}

Result<void> Database::prepare(Statement& into, std::string_view sql) {
  into = TRY(prepare(sql));
  return {};
}

}  // namespace belfry::sqlite
