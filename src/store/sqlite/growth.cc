// What a database file holds, by table: how much, and who takes it out again.

#include <algorithm>
#include <array>
#include <filesystem>

#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {
namespace {

constexpr Duration kPatienceOfOne{500};
constexpr Duration kPatienceOfAll{5000};
constexpr int kStepsBetweenLooks = 20'000;

// `part`: some rows of the table, by a condition of their own.
struct Known {
  std::string_view table;
  std::string_view part;
  std::string_view condition;
  std::string_view ends;
};
constexpr std::array kKnown = std::to_array<Known>({
    {"events", "", "", "log.retention_days, log.retention, expires"},
    {"topics", "", "", "30 days after their last event"},
    {"topic_offsets", "", "", "with their event"},
    {"keyed", "", "", "with their event, or a newer one of the key"},
    {"expiry", "", "", "with their event"},
    {"lanes", "", "", "with their last notification; the sum of a topic goes with it"},
    {"notifications", "", "", "with their event"},
    {"dead", "", "", "once the lane's numbers before them are gone"},
    {"dead_blocks", "", "", "with the numbers that they count"},
    {"follows", "open", "until IS NULL", "when the user unfollows or is erased"},
    {"follows", "ended", "until IS NOT NULL", "when they hold nothing; 30 days later if something was lost"},
    {"users", "", "", "when they hold nothing any more, or the user is erased"},
    {"idempotency", "", "", "after 24 h"},
    {"scheduled", "", "", "when they are due or cancelled"},
    {"revocations", "", "", "400 days after the revocation"},
    {"tickets", "", "", "with their token, after 7 days at most"},
    {"time_steps", "", "", "when the time before the step has come again"},
    {"epochs", "", "", "behind 100 newer ones if nothing was published; the newest 10,000"},
    {"positions", "", "", "one for each part of a source"},
    {"dead_letters", "", "", "the newest 10,000 are kept"},
    {"meta", "", "", "a few numbers, always the same"},
});

// Ends a statement that takes too long, so that no reader's snapshot keeps the WAL from being used again.
class Patience {
 public:
  explicit Patience(sqlite3* database) : database_(database), until_(clock_.now() + kPatienceOfAll) {
    const auto is_over = [](void* self) { return static_cast<const Patience*>(self)->is_over() ? 1 : 0; };
    sqlite3_progress_handler(database_, kStepsBetweenLooks, is_over, this);
  }
  ~Patience() { sqlite3_progress_handler(database_, 0, nullptr, nullptr); }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

  void begin_one() { one_until_ = clock_.now() + kPatienceOfOne; }
  bool is_over() const { return clock_.now() >= std::min(until_, one_until_); }

 private:
  const SystemClock clock_;
  sqlite3* const database_;
  const Instant until_;
  Instant one_until_ = Instant::never();
};

// Nothing where it takes too long, or cannot be told.
std::optional<std::uint64_t> ask(sqlite::Database& database, Patience& patience, const std::string& sql,
                                 std::string_view name = {}) {
  patience.begin_one();
  auto statement = database.prepare(sql);
  if (!statement) return std::nullopt;
  if (!name.empty()) statement.value().bind(1, name);
  const auto row = statement.value().step();
  if (!row || !row.value() || statement.value().is_null(0)) return std::nullopt;
  return static_cast<std::uint64_t>(statement.value().integer(0));
}

Result<std::vector<std::string>> tables_of(sqlite::Database& database) {
  std::vector<std::string> out;
  // Without SQLite's own, and those that a virtual table keeps its rows in.
  sqlite::Statement select = TRY(database.prepare(
      "SELECT name FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND "
      "NOT EXISTS (SELECT 1 FROM sqlite_schema v WHERE v.type = 'table' AND v.sql LIKE 'CREATE VIRTUAL%' "
      "AND s.name LIKE v.name || '\\_%' ESCAPE '\\')"));
  while (TRY(select.step())) out.push_back(select.text(0));
  return out;
}

// With its indexes, and the tables that a virtual one keeps its rows in.
constexpr const char* kBytesSql =
    "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN (SELECT name FROM sqlite_schema "
    "WHERE tbl_name = ?1 OR tbl_name LIKE ?1 || '\\_%' ESCAPE '\\' AND EXISTS (SELECT 1 FROM sqlite_schema "
    "v WHERE v.name = ?1 AND v.sql LIKE 'CREATE VIRTUAL%'))";

std::uint64_t size_of(const std::string& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

}  // namespace

Result<DatabaseGrowth> growth_of(const std::string& path) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) return fail(Code::store_failed, "There is no " + path + ".");
  sqlite::Database database = TRY(sqlite::Database::open(path, SQLITE_OPEN_READONLY, {}));
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const std::vector<std::string> there = TRY(tables_of(database));
  Patience patience(database.handle());
  DatabaseGrowth growth;
  growth.file_bytes = size_of(path);
  growth.wal_bytes = size_of(path + "-wal");
  growth.free_bytes = ask(database, patience, "PRAGMA freelist_count").value_or(0) *
                      ask(database, patience, "PRAGMA page_size").value_or(0);
  const auto add = [&](const Known& known) {
    TableGrowth row{std::string(known.table), std::string(known.part), {}, {}, std::string(known.ends)};
    const std::string where = known.condition.empty() ? "" : " WHERE " + std::string(known.condition);
    row.rows = ask(database, patience, "SELECT count(*) FROM \"" + row.table + '"' + where);
    if (growth.tables.empty() || growth.tables.back().table != row.table)
      row.bytes = ask(database, patience, kBytesSql, row.table);
    growth.tables.push_back(std::move(row));
  };
  for (const Known& known : kKnown)
    if (std::find(there.begin(), there.end(), known.table) != there.end()) add(known);
  // One that nobody thought of here is shown all the same.
  for (const std::string& table : there)
    if (std::none_of(kKnown.begin(), kKnown.end(), [&](const Known& known) { return known.table == table; }))
      add({table, "", "", ""});
  return growth;
}

}  // namespace belfry
