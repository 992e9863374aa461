#include "store/sqlite/source_rows.h"

#include "store/sqlite/schema.h"

namespace belfry::sqlite {

Result<std::vector<DeadLetter>> read_dead_letters(Statement& select, std::string_view source,
                                                  std::size_t rows_max) {
  const ResetAtEnd end(select);
  select.bind(1, source).bind(2, to_signed(rows_max));
  std::vector<DeadLetter> out;
  while (TRY(select.step()))
    out.push_back({to_unsigned(select.integer(0)), select.text(1), select.text(2), select.text(3),
                   select.text(4), Timestamp{Duration{select.integer(5)}}});
  return out;
}

Result<void> SourceRows::prepare(Database& database) {
  TRY(database.prepare(put_position_, "INSERT OR REPLACE INTO positions VALUES(?, ?, ?)"));
  TRY(database.prepare(forget_, "DELETE FROM positions WHERE source = ?"));
  TRY(database.prepare(select_positions_,
                       "SELECT source, part, value FROM positions ORDER BY source, part"));
  TRY(database.prepare(put_letter_,
                       "INSERT INTO dead_letters(source, position, reason, record, time) "
                       "VALUES(?, ?, ?, ?, ?)"));
  TRY(database.prepare(trim_letters_,
                       "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?"));
  return database.prepare(select_letters_, dead_letters_sql);
}

Result<void> SourceRows::put(const Position& position) {
  return put_position_.bind(1, std::string_view(position.source))
      .bind(2, std::string_view(position.part))
      .bind(3, std::string_view(position.value))
      .run();
}

Result<void> SourceRows::forget(std::string_view source) { return forget_.bind(1, source).run(); }

Result<void> SourceRows::put(const DeadLetter& letter) {
  put_letter_.bind(1, std::string_view(letter.source)).bind(2, std::string_view(letter.position));
  put_letter_.bind(3, std::string_view(letter.reason)).bind(4, std::string_view(letter.record));
  TRY(put_letter_.bind(5, letter.time.value.count()).run());
  return trim_letters_.bind(1, static_cast<std::int64_t>(limits::dead_letters_max)).run();
}

Result<std::vector<Position>> SourceRows::positions() {
  const ResetAtEnd end(select_positions_);
  std::vector<Position> out;
  while (TRY(select_positions_.step()))
    out.push_back({select_positions_.text(0), select_positions_.text(1), select_positions_.text(2)});
  return out;
}

}  // namespace belfry::sqlite
