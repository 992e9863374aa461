#include "store/sqlite/schema.h"

namespace belfry::sqlite {
namespace {

constexpr std::int64_t kVersion = 1;

// `events` only ever grows at its end. What needs random writes stands apart, in topic_index, and is
// written in sorted batches behind it (docs/decisions/0002). topics.last_seq counts what retention has
// removed.
constexpr const char* kSchema = R"sql(
  BEGIN;
  CREATE TABLE topics(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, floor INTEGER NOT NULL,
    last_seq INTEGER NOT NULL);
  CREATE INDEX topics_floor ON topics(floor) WHERE floor > 0;
  CREATE TABLE events(
    offset INTEGER PRIMARY KEY, topic INTEGER NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
    time INTEGER NOT NULL, data TEXT, notification TEXT, key TEXT, expires INTEGER, keys TEXT,
    spread_ms INTEGER, version TEXT);
  CREATE TABLE topic_index(topic INTEGER, offset INTEGER, PRIMARY KEY(topic, offset)) WITHOUT ROWID;
  CREATE TABLE epochs(first_offset INTEGER NOT NULL, epoch INTEGER NOT NULL);
  CREATE TABLE idempotency(
    principal TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, first INTEGER NOT NULL,
    count INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(principal, key));
  CREATE INDEX idempotency_time ON idempotency(time);
  CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES('indexed', 0), ('head', 0);
  PRAGMA user_version = 1;
  COMMIT;
)sql";

}  // namespace

Result<void> prepare_schema(Database& database) {
  std::int64_t version = 0;
  {
    Statement statement = TRY(database.prepare("PRAGMA user_version"));
    if (TRY(statement.step())) version = statement.integer(0);
  }
  if (version > kVersion)
    return fail(Code::store_failed, "The database was written by a newer version of Belfry (schema " +
                                        std::to_string(version) + ").");
  if (version == 0) TRY(database.execute(kSchema));
  return {};
}

Event event_of_row(const Statement& row, const EpochTable& epochs) {
  Event event;
  event.offset = to_unsigned(row.integer(0));
  event.epoch = epochs.cursor(event.offset).epoch;
  event.topic = row.text(1);
  event.seq = to_unsigned(row.integer(2));
  event.type = row.text(3);
  event.time = Timestamp{Duration{row.integer(4)}};
  event.data = row.text(5);
  event.notification = row.text(6);
  event.key = row.text(7);
  if (!row.is_null(8)) event.expires = Timestamp{Duration{row.integer(8)}};
  event.keys = row.text(9);
  event.spread_ms = static_cast<std::uint32_t>(row.integer(10));
  event.version = row.text(11);
  return event;
}

Result<std::vector<EpochRow>> read_epochs(Database& database) {
  std::vector<EpochRow> rows;
  Statement statement = TRY(database.prepare("SELECT epoch, first_offset FROM epochs ORDER BY rowid"));
  while (TRY(statement.step()))
    rows.push_back({Epoch{to_unsigned(statement.integer(0))}, to_unsigned(statement.integer(1))});
  return rows;
}

Result<Offset> read_indexed(Statement& select_indexed) {
  const ResetAtEnd end(select_indexed);
  if (!TRY(select_indexed.step())) return fail(Code::store_failed, "The database has lost its table meta.");
  return to_unsigned(select_indexed.integer(0));
}

}  // namespace belfry::sqlite
