#pragma once
// How far sources were read, and their dead letters. Private to sqlite/.
//
// Owner: SqliteStore. Thread: the log-writer; changes inside a transaction.

#include <vector>

#include "store/sqlite/database.h"
#include "store/store.h"

namespace belfry::sqlite {

inline constexpr std::string_view dead_letters_sql =
    "SELECT id, source, position, reason, record, time FROM dead_letters WHERE source = ? "
    "ORDER BY id DESC LIMIT ?";
Result<std::vector<DeadLetter>> read_dead_letters(Statement& select, std::string_view source,
                                                  std::size_t rows_max);

class SourceRows {
 public:
  Result<void> prepare(Database& database);

  Result<void> put(const Position& position);
  Result<void> forget(std::string_view source);
  Result<void> put(const DeadLetter& letter);
  Result<std::vector<Position>> positions();
  Result<std::vector<DeadLetter>> dead_letters(std::string_view source, std::size_t rows_max) {
    return read_dead_letters(select_letters_, source, rows_max);
  }

 private:
  Statement put_position_, forget_, select_positions_, put_letter_, trim_letters_, select_letters_;
};

}  // namespace belfry::sqlite
