#include "store/sqlite/schema.h"

namespace belfry::sqlite {
namespace {

constexpr std::int64_t kVersion = 7;

// `events` only ever grows at its end. topics.last_seq counts what retention has removed. (topic_index gave
// way to topic_offsets.)
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

// The feed. Notifications of one topic and type are a lane, numbered by n, so that counting them is a
// subtraction of two numbers; numbers whose notification is gone are in `dead`, with their sum for each
// 1024. events.plain counts the events of a topic without those that Belfry itself writes.
constexpr const char* kSchema2 = R"sql(
  BEGIN;
  ALTER TABLE topics ADD COLUMN last_plain INTEGER NOT NULL DEFAULT 0;
  UPDATE topics SET last_plain = last_seq;
  ALTER TABLE events ADD COLUMN plain INTEGER;
  UPDATE events SET plain = seq;
  CREATE INDEX events_own ON events(topic, seq - plain) WHERE type >= 'belfry.' AND type < 'belfry/';
  ALTER TABLE idempotency ADD COLUMN scheduled INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE lanes(
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, type TEXT NOT NULL, dead INTEGER NOT NULL DEFAULT 0,
    UNIQUE(topic, type));
  CREATE TABLE notifications(
    lane INTEGER, offset INTEGER, n INTEGER NOT NULL, PRIMARY KEY(lane, offset)) WITHOUT ROWID;
  CREATE TABLE dead(lane INTEGER, n INTEGER, PRIMARY KEY(lane, n)) WITHOUT ROWID;
  CREATE TABLE dead_blocks(
    lane INTEGER, block INTEGER, count INTEGER NOT NULL, PRIMARY KEY(lane, block)) WITHOUT ROWID;
  CREATE TABLE users(
    name TEXT PRIMARY KEY, read BLOB, muted_topics TEXT, muted_types TEXT) WITHOUT ROWID;
  CREATE TABLE follows(
    user TEXT, topic INTEGER, since INTEGER, until INTEGER, PRIMARY KEY(user, topic, since)) WITHOUT ROWID;
  CREATE TABLE keyed(
    topic INTEGER, key TEXT, offset INTEGER NOT NULL, PRIMARY KEY(topic, key)) WITHOUT ROWID;
  CREATE TABLE expiry(expires INTEGER, offset INTEGER, PRIMARY KEY(expires, offset)) WITHOUT ROWID;
  CREATE TABLE scheduled(
    id INTEGER PRIMARY KEY AUTOINCREMENT, deliver_at INTEGER NOT NULL, principal TEXT NOT NULL,
    topic TEXT NOT NULL, type TEXT NOT NULL, data TEXT, notification TEXT, key TEXT, expires INTEGER,
    keys TEXT, spread_ms INTEGER, version TEXT);
  CREATE TABLE revocations(
    user TEXT, token_id TEXT, not_before INTEGER NOT NULL, forget INTEGER NOT NULL,
    PRIMARY KEY(user, token_id)) WITHOUT ROWID;
  CREATE INDEX scheduled_due ON scheduled(deliver_at, id);
  INSERT INTO lanes(topic, type)
    SELECT DISTINCT topic, type FROM events WHERE notification IS NOT NULL;
  INSERT INTO notifications
    SELECT l.id, e.offset, row_number() OVER (PARTITION BY l.id ORDER BY e.offset)
    FROM events e JOIN lanes l ON l.topic = e.topic AND l.type = e.type WHERE e.notification IS NOT NULL;
  INSERT INTO expiry SELECT expires, offset FROM events WHERE expires IS NOT NULL;
  INSERT INTO keyed SELECT topic, key, max(offset) FROM events WHERE key IS NOT NULL GROUP BY topic, key;
  PRAGMA user_version = 2;
  COMMIT;
)sql";

// What brings events in: how far each source was read, and what could not become an event.
constexpr const char* kSchema3 = R"sql(
  BEGIN;
  CREATE TABLE positions(
    source TEXT, part TEXT, value TEXT NOT NULL, PRIMARY KEY(source, part)) WITHOUT ROWID;
  CREATE TABLE dead_letters(
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, position TEXT NOT NULL,
    reason TEXT NOT NULL, record TEXT NOT NULL, time INTEGER NOT NULL);
  PRAGMA user_version = 3;
  COMMIT;
)sql";

// The offsets of each topic, written behind the log (docs/decisions/0002): FTS5 keeps them as a
// log-structured merge tree, whose cost of a row does not grow with the table. The one term of a row is its
// topic's id.
constexpr const char* kSchema4 = R"sql(
  BEGIN;
  CREATE VIRTUAL TABLE topic_offsets USING fts5(
    topic, content='', columnsize=0, detail=none, tokenize='ascii');
  INSERT INTO topic_offsets(rowid, topic)
    SELECT offset, topic FROM events WHERE offset <= (SELECT value FROM meta WHERE name = 'indexed')
    ORDER BY offset;
  DROP TABLE topic_index;
  PRAGMA user_version = 4;
  COMMIT;
)sql";

// Counts of a feed are kept with its read state, and are true as long as nothing was taken out of its lanes.
// What is due is found for each principal, too.
constexpr const char* kSchema5 = R"sql(
  BEGIN;
  ALTER TABLE lanes ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE users ADD COLUMN counted_at INTEGER;
  ALTER TABLE users ADD COLUMN counted_removals INTEGER;
  ALTER TABLE users ADD COLUMN unread INTEGER;
  ALTER TABLE users ADD COLUMN unseen INTEGER;
  CREATE INDEX scheduled_turns ON scheduled(principal, deliver_at, id);
  PRAGMA user_version = 5;
  COMMIT;
)sql";

// What ends: who scheduled an event is known, tickets that were used, the places where the clock was put
// back, and since when a topic or an ended follow holds nothing. meta.forgotten: below it there were topics
// that are not known any more.
constexpr const char* kSchema6 = R"sql(
  BEGIN;
  ALTER TABLE scheduled ADD COLUMN issued INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE scheduled ADD COLUMN token_id TEXT NOT NULL DEFAULT '';
  UPDATE scheduled SET issued = 9007199254740991;
  CREATE INDEX scheduled_topic ON scheduled(topic);
  CREATE INDEX revocations_forget ON revocations(forget);
  CREATE TABLE tickets(
    id TEXT PRIMARY KEY, principal TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX tickets_until ON tickets(until);
  CREATE INDEX tickets_principal ON tickets(principal);
  CREATE TABLE time_steps(offset INTEGER PRIMARY KEY, time INTEGER NOT NULL);
  ALTER TABLE topics ADD COLUMN empty_since INTEGER;
  ALTER TABLE follows ADD COLUMN empty_since INTEGER;
  CREATE INDEX follows_ended ON follows(until) WHERE until IS NOT NULL;
  CREATE INDEX follows_topic ON follows(topic);
  INSERT INTO meta VALUES('forgotten', 0);
  PRAGMA user_version = 6;
  COMMIT;
)sql";

// A step of the clock knows the log's time before it.
constexpr const char* kSchema7 = R"sql(
  BEGIN;
  ALTER TABLE time_steps ADD COLUMN was INTEGER NOT NULL DEFAULT 0;
  UPDATE time_steps SET was = coalesce(
    (SELECT e.time FROM events e WHERE e.offset < time_steps.offset ORDER BY e.offset DESC LIMIT 1), time);
  PRAGMA user_version = 7;
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
  if (version < 1) TRY(database.execute(kSchema));
  if (version < 2) TRY(database.execute(kSchema2));
  if (version < 3) TRY(database.execute(kSchema3));
  if (version < 4) TRY(database.execute(kSchema4));
  if (version < 5) TRY(database.execute(kSchema5));
  if (version < 6) TRY(database.execute(kSchema6));
  if (version < 7) TRY(database.execute(kSchema7));
  return {};
}

void read_payload(Event& event, const Statement& row) {
  event.data = row.text(5);
  event.notification = row.text(6);
  event.key = row.text(7);
  if (!row.is_null(8)) event.expires = Timestamp{Duration{row.integer(8)}};
  event.keys = row.text(9);
  event.spread_ms = static_cast<std::uint32_t>(row.integer(10));
  event.version = row.text(11);
}

Event event_of_row(const Statement& row, const EpochTable& epochs) {
  Event event;
  event.offset = to_unsigned(row.integer(0));
  event.epoch = epochs.cursor(event.offset).epoch;
  event.topic = row.text(1);
  event.seq = to_unsigned(row.integer(2));
  event.type = row.text(3);
  event.time = Timestamp{Duration{row.integer(4)}};
  read_payload(event, row);
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
