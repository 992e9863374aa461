#pragma once
// The tables, and how an event is read from a row. Private to sqlite/.

#include "model/model.h"
#include "store/sqlite/database.h"

namespace belfry::sqlite {

// Creates the tables in an empty database. Fails on a newer version than this program knows.
Result<void> prepare_schema(Database& database);

// For `SELECT <event_columns> FROM events e JOIN topics t ON t.id = e.topic`.
inline constexpr std::string_view event_columns =
    "e.offset, t.name, e.seq, e.type, e.time, e.data, e.notification, e.key, e.expires, e.keys, "
    "e.spread_ms, e.version";
inline constexpr std::string_view head_sql =
    "SELECT max(coalesce((SELECT max(offset) FROM events), 0), (SELECT value FROM meta WHERE name = "
    "'head'))";
// Topics with a floor up to here may not be known any more.
inline constexpr std::string_view forgotten_sql =
    "SELECT coalesce((SELECT value FROM meta WHERE name = 'forgotten'), 0)";
// The newest offset of a topic, of those that are indexed; null if there is none.
inline constexpr std::string_view newest_sql =
    "(SELECT rowid FROM topic_offsets WHERE topic_offsets MATCH ? ORDER BY rowid DESC LIMIT 1)";
// Nothing is left up to this offset. Entries that were taken out of topic_offsets may be walked over until
// FTS5 merges them away; nobody needs to walk over these.
inline constexpr std::string_view trimmed_sql = "(SELECT coalesce(min(offset), 1) - 1 FROM events)";
// Columns 5 to 11 of such a row: data, notification, key, expires, keys, spread_ms, version.
void read_payload(Event& event, const Statement& row);
Event event_of_row(const Statement& row, const EpochTable& epochs);

Result<std::vector<EpochRow>> read_epochs(Database& database);
// The offset up to which topic_offsets is complete.
Result<Offset> read_indexed(Statement& select_indexed);

inline std::int64_t to_signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }
inline std::uint64_t to_unsigned(std::int64_t value) { return static_cast<std::uint64_t>(value); }

}  // namespace belfry::sqlite
