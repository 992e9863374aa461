#pragma once
// A thin owner of SQLite's connection and statements: calls become Results, pointers are freed. Private to
// sqlite/.
//
// Thread: one per connection.

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/base.h"

namespace belfry::sqlite {

// The catalogue's code for a failed call: store_full where nothing was written and room will help,
// store_failed else.
Error to_error(int code, std::string_view what, sqlite3* database);

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Views must stay valid until reset(). Parameters count from 1.
  Statement& bind(int at, std::int64_t value);
  Statement& bind(int at, std::string_view value);
  Statement& bind_blob(int at, std::string_view value);
  Statement& bind_text_or_null(int at, std::string_view value);
  Statement& bind_null(int at);

  // True: a row is there; false: done, and the statement is reset.
  Result<bool> step();
  // One that gives no row.
  Result<void> run();
  void reset();

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string text(int column) const;
  bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a statement at the end of a scope, whatever happened.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  static Result<Database> open(const std::string& path, int flags, const std::string& vfs);

  Result<void> execute(const char* sql);
  // COMMIT. Code::store_full: nothing of it is stored. Code::store_failed: it is unknown.
  Result<void> commit();
  Result<Statement> prepare(std::string_view sql);
  Result<void> prepare(Statement& into, std::string_view sql);
  sqlite3* handle() const { return database_.get(); }
  // Steps of the virtual machine that all statements took so far (sqlite3_stmt_status).
  std::uint64_t work() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  std::unique_ptr<sqlite3, Close> database_;
  mutable std::uint64_t work_ = 0;  // up to the last look
};

}  // namespace belfry::sqlite
