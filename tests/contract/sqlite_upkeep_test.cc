// What SQLite's file goes through beside serving: taken over from an older version, and checked.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <map>

#include "log/log.h"
#include "shelves.h"

namespace belfry {
namespace {

constexpr Offset kEvents = 3000;  // some batches of the index, and some that it does not hold yet

class SqliteUpkeep : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto store = shelf.open();
    ASSERT_TRUE(store->open(Epoch{1}));
    for (Offset first = 0; first < kEvents; first += 100) {
      std::vector<Event> events(100);
      for (std::size_t i = 0; i < events.size(); ++i) {
        events[i].topic = "t/" + std::to_string((first + i) % 7);
        events[i].key = (first + i) % 50 == 0 ? "k" : "";
      }
      ASSERT_TRUE(store->commit({events}));
    }
    ASSERT_LT(store->indexed(), kEvents);
    ASSERT_GT(store->indexed(), kEvents / 3);
  }

  void run(const std::string& sql) {
    sqlite3* database = nullptr;
    CHECK(sqlite3_open(path().c_str(), &database) == SQLITE_OK);
    char* error = nullptr;
    sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
    EXPECT_EQ(error, nullptr) << error;
    sqlite3_close(database);
  }

  std::vector<Offset> offsets_of(std::string topic, Epoch epoch) {
    const auto store = shelf.open();
    CHECK(store->open(epoch));
    CHECK(store->index_now());
    const auto page =
        store->open_reader().value()->read({{{std::move(topic), {}}}, 0, kEvents, 1 << 20}).value();
    std::vector<Offset> offsets;
    for (const Event& event : page.events) offsets.push_back(event.offset);
    return offsets;
  }

  std::vector<std::string> problems() {
    DatabaseSummary summary;
    return check_database(path(), summary).value();
  }

  std::string path() { return shelf.folder.path("belfry.db"); }
  SqliteShelf shelf;
};

// Retention of Belfry's own events does not go by the index. A session that stands below what it took reads
// pages, and they must reach that far.
TEST_F(SqliteUpkeep, TheIndexReachesTheFloorsAfterAStart) {
  {
    const auto store = shelf.open();
    ASSERT_TRUE(store->open(Epoch{2}));
    ASSERT_TRUE(store->index_now());
    std::vector<Event> events(20);
    for (Event& event : events) {
      event.topic = "users/ana";
      event.type = mark_type;
    }
    ASSERT_TRUE(store->commit({events}));
    ASSERT_EQ(store->indexed(), kEvents);
  }
  // As earlier versions left it, which raised floors above the index.
  run("DELETE FROM events WHERE offset > " + std::to_string(kEvents) + " AND offset <= " +
      std::to_string(kEvents + 18) + "; UPDATE topics SET floor = " + std::to_string(kEvents + 18) +
      " WHERE name = 'users/ana'");
  const auto store = shelf.open();
  const auto log = Log::open(*store, {}, Epoch{3});
  ASSERT_TRUE(log);
  EXPECT_EQ(log.value()->tail().holes(), kEvents + 18);
  const auto page = store->open_reader().value()->read({{{"users/ana", {}}}, kEvents}).value();
  EXPECT_GE(page.upto, log.value()->tail().holes());
}

TEST_F(SqliteUpkeep, AnIndexOfSchema3IsTakenOver) {
  const std::vector<Offset> before = offsets_of("t/3", Epoch{2});
  ASSERT_GT(before.size(), kEvents / 8);
  run("BEGIN; CREATE TABLE topic_index(topic INTEGER, offset INTEGER, PRIMARY KEY(topic, offset)) WITHOUT "
      "ROWID; INSERT INTO topic_index SELECT topic, offset FROM events; DROP TABLE topic_offsets; "
      "ALTER TABLE lanes DROP COLUMN removed; ALTER TABLE users DROP COLUMN counted_at; ALTER TABLE users "
      "DROP COLUMN counted_removals; ALTER TABLE users DROP COLUMN unread; ALTER TABLE users DROP COLUMN "
      "unseen; DROP INDEX scheduled_turns; ALTER TABLE scheduled DROP COLUMN issued; ALTER TABLE scheduled "
      "DROP COLUMN token_id; DROP INDEX scheduled_topic; DROP INDEX revocations_forget; DROP TABLE tickets; "
      "DROP TABLE time_steps; ALTER TABLE topics DROP COLUMN empty_since; ALTER TABLE follows DROP COLUMN "
      "empty_since; DROP INDEX follows_ended; DROP INDEX follows_topic; DELETE FROM meta WHERE name = "
      "'forgotten'; PRAGMA user_version = 3; COMMIT");
  EXPECT_EQ(offsets_of("t/3", Epoch{3}), before);
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

TEST_F(SqliteUpkeep, ACheckFindsWhatTheIndexLost) {
  EXPECT_EQ(problems(), std::vector<std::string>{});
  run("INSERT INTO topic_offsets(topic_offsets, rowid, topic) SELECT 'delete', offset, topic FROM events "
      "WHERE offset IN (12, 13)");
  EXPECT_EQ(problems(), std::vector<std::string>{"2 events that the index has lost"});
  run("INSERT INTO topic_offsets(rowid, topic) SELECT offset, topic + 1 FROM events WHERE offset IN (12, "
      "13)");
  EXPECT_EQ(problems(), (std::vector<std::string>{"2 events that the index has lost",
                                                  "2 entries of the index without their event"}));
}

TEST_F(SqliteUpkeep, ACheckTellsWhatSqliteFinds) {
  run("CREATE TABLE odd(a, b); CREATE INDEX odd_a ON odd(a); INSERT INTO odd VALUES(1, 2); PRAGMA "
      "writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX odd_a ON odd(b)' WHERE name = "
      "'odd_a'");
  const std::vector<std::string> found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0], "row 1 missing from index odd_a");
}

std::vector<std::string> names_in(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  CHECK(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
  std::vector<std::string> names;
  const auto keep = [](void* to, int, char** values, char**) {
    static_cast<std::vector<std::string>*>(to)->push_back(values[0]);
    return 0;
  };
  CHECK(sqlite3_exec(database, sql.c_str(), keep, &names, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  return names;
}

// `belfry doctor` shows them. A table of a new schema needs a line there: who takes its rows out, and when?
TEST_F(SqliteUpkeep, OfEveryTableItIsSaidWhoTakesRowsOut) {
  run("CREATE TABLE something_new(a); INSERT INTO something_new VALUES(1), (2)");
  const DatabaseGrowth growth = growth_of(path()).value();
  std::map<std::string, std::string> ends;
  for (const TableGrowth& row : growth.tables) ends[row.table] += row.ends;
  EXPECT_EQ(ends.at("something_new"), "") << "nobody thought of it, and it is shown";
  run("DROP TABLE something_new");
  const auto tables = names_in(path(), "SELECT name FROM sqlite_master WHERE type = 'table'");
  ASSERT_GT(tables.size(), 15u);
  for (const std::string& table : tables) {
    if (table.starts_with("sqlite_") || table.starts_with("topic_offsets_")) continue;
    EXPECT_NE(ends[table], "") << table << ": a line in src/store/sqlite/growth.cc is missing";
  }
  EXPECT_EQ(ends.size(), 1 + std::size_t(std::count_if(tables.begin(), tables.end(), [](const auto& table) {
                               return !table.starts_with("sqlite_") && !table.starts_with("topic_offsets_");
                             })));
}

TEST_F(SqliteUpkeep, WhatGrowsIsCountedWhileTheStoreIsOpen) {
  const auto store = shelf.open();
  ASSERT_TRUE(store->open(Epoch{2}));
  const DatabaseGrowth growth = growth_of(path()).value();
  std::map<std::string, TableGrowth> rows;
  std::uint64_t bytes = 0;
  for (const TableGrowth& row : growth.tables) {
    rows[row.table + row.part] = row;
    bytes += row.bytes.value_or(0);
  }
  EXPECT_EQ(rows.at("events").rows, kEvents - (kEvents / 50 - 7)) << "without those that were replaced";
  EXPECT_EQ(rows.at("topics").rows, 7u);
  EXPECT_EQ(rows.at("keyed").rows, 7u);
  EXPECT_EQ(rows.at("followsopen").rows, 0u);
  EXPECT_EQ(rows.at("epochs").rows, 2u);
  EXPECT_GT(growth.file_bytes, 0u);
  EXPECT_GT(growth.wal_bytes, 0u);
  if (rows.at("events").bytes) {  // where SQLite has dbstat
    EXPECT_GT(rows.at("topic_offsets").bytes, 4096u);
    EXPECT_GT(bytes, *rows.at("events").bytes);
  }
}

}  // namespace
}  // namespace belfry
