#include "store/sqlite/erasure.h"

namespace belfry::sqlite {
namespace {

constexpr std::int64_t kBytesTaken = 2 * 1024 * 1024;  // a large event has pages of its own

}  // namespace

Result<void> Erasure::prepare(Database& database) {
  TRY(database.prepare(select_events_,
                       "SELECT i.rowid, coalesce(length(e.data), 0) FROM topic_offsets i CROSS JOIN "
                       "events e ON e.offset = i.rowid WHERE i.topic_offsets MATCH coalesce((SELECT id "
                       "FROM topics WHERE name = ?), 0) AND i.rowid > max(?, " +
                           std::string(trimmed_sql) + ") ORDER BY i.rowid LIMIT ?"));
  TRY(database.prepare(forget_scheduled_,
                       "DELETE FROM scheduled WHERE id IN (SELECT id FROM scheduled WHERE topic = ? OR "
                       "principal = ? LIMIT ?)"));
  return database.prepare(forget_keys_,
                          "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE "
                          "principal = ? LIMIT ?)");
}

Result<Erasure::Found> Erasure::find_events(const std::string& topic, Offset after, std::size_t rows_max) {
  Found found;
  const ResetAtEnd end(select_events_);
  select_events_.bind(1, std::string_view(topic)).bind(2, to_signed(after)).bind(3, to_signed(rows_max));
  std::int64_t bytes = 0;
  while (bytes < kBytesTaken) {
    if (!TRY(select_events_.step())) {
      found.all = found.offsets.size() < rows_max;
      break;
    }
    found.offsets.push_back(to_unsigned(select_events_.integer(0)));
    bytes += select_events_.integer(1);
  }
  return found;
}

Result<Erased> Erasure::take(const EraseUser& erasure, std::size_t rows_max) {
  const std::string topic = user_topic(erasure.user), principal = "user:" + erasure.user;
  Erased erased;
  Found found = TRY(find_events(topic, erasure.after, rows_max));
  for (const Offset offset : found.offsets) TRY(events_.remove(offset, EventWriter::Removal::withdrawn));
  erased.rows = found.offsets.size();
  erased.withdrawn = std::move(found.offsets);
  erased.more = !found.all;
  if (erased.more) return erased;
  const auto left = [&] { return to_signed(rows_max - erased.rows); };
  forget_scheduled_.bind(1, std::string_view(topic)).bind(2, std::string_view(principal));
  TRY(forget_scheduled_.bind(3, left()).run());
  erased.rows += static_cast<std::size_t>(events_.rows_changed());
  TRY(forget_keys_.bind(1, std::string_view(principal)).bind(2, left()).run());
  erased.rows += static_cast<std::size_t>(events_.rows_changed());
  erased.more = left() == 0;
  return erased;
}

}  // namespace belfry::sqlite
