#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "store/sqlite/sqlite_reader.h"
#include "store/sqlite/topic_cache.h"
#include "store/sqlite/topic_index_writer.h"

namespace belfry {
namespace sqlite {
namespace {

constexpr int kCheckpointPages = 4000;  // of the WAL; about 16 MiB

// One writer per database, also across processes. The lock goes with the process.
class WriterLock {
 public:
  ~WriterLock() {
    if (file_ >= 0) ::close(file_);
  }
  Result<void> take(const std::string& path) {
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file_ < 0) return fail(Code::store_failed, "Cannot create " + path + ": " + std::strerror(errno));
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0)
      return fail(Code::store_failed, "Another process has the database open: " + path);
    return {};
  }

 private:
  int file_ = -1;
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(SqliteOptions options) : options_(std::move(options)) {}

  Result<void> start();
  Result<Opened> open(Epoch fresh) override;
  Result<void> commit(std::span<Event> events, std::span<const IdempotencyRecord> records) override;
  Result<std::optional<IdempotencyRecord>> find_idempotency(std::string_view principal,
                                                            std::string_view key,
                                                            Timestamp not_before) override;
  Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) override;
  Offset indexed() const override { return indexed_.load(std::memory_order_acquire); }
  Result<void> index_now() override;
  Result<std::size_t> trim(Offset upto, Timestamp forget_before, std::size_t rows_max) override;
  Result<Offset> last_before(Timestamp before) override;
  Result<std::unique_ptr<StoreReader>> open_reader() override;

 private:
  Result<void> prepare();
  Result<void> reload();
  template <class Work>
  Result<void> in_transaction(Work work);
  Error give_up(Error error);
  Result<void> write(std::span<Event> events, std::span<const IdempotencyRecord> records, Offset& indexed);
  Result<TopicState*> topic_of(const std::string& name);
  Result<void> insert(Event& event);
  Result<void> checkpoint_if_due();
  Result<std::size_t> trim_slice(Offset upto, std::size_t rows_max);

  const SqliteOptions options_;
  WriterLock lock_;
  Database database_;
  Statement insert_event_, insert_topic_, select_topic_, select_newest_, select_head_, insert_key_,
      select_key_, select_log_, select_oldest_, delete_event_, delete_index_, raise_floor_, forget_keys_,
      select_time_, set_head_;
  TopicIndexWriter index_;
  TopicCache topics_;
  EpochTable epochs_;
  Epoch epoch_;
  Offset head_ = 0;
  int wal_pages_ = 0;  // as of the last commit
  std::atomic<Offset> indexed_{0};
  std::optional<Error> failure_;
};

Result<void> SqliteStore::start() {
  TRY(lock_.take(options_.path + ".lock"));
  // Made by us first, so that nobody else can read it; SQLite gives its WAL the same mode.
  const int file = ::open(options_.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    return fail(Code::store_failed, "Cannot open " + options_.path + ": " + std::strerror(errno));
  ::close(file);
  database_ = TRY(Database::open(options_.path, SQLITE_OPEN_READWRITE, options_.vfs));
  TRY(database_.execute("PRAGMA journal_mode = WAL"));
  TRY(database_.execute(("PRAGMA synchronous = " + options_.synchronous).c_str()));
  TRY(database_.execute(
      "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0"));
  TRY(prepare_schema(database_));
  sqlite3_wal_hook(
      database_.handle(),
      [](void* store, sqlite3*, const char*, int pages) {
        static_cast<SqliteStore*>(store)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  return prepare();
}

Result<void> SqliteStore::prepare() {
  const auto to = [this](Statement& statement, std::string_view sql) -> Result<void> {
    statement = TRY(database_.prepare(sql));
    return {};
  };
  TRY(to(insert_event_, "INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  TRY(to(insert_topic_, "INSERT INTO topics(name, floor, last_seq) VALUES(?, 0, 0)"));
  TRY(to(select_topic_, "SELECT id, last_seq FROM topics WHERE name = ?"));
  TRY(to(select_newest_,
         "SELECT seq FROM events WHERE offset = (SELECT max(offset) FROM topic_index WHERE topic = ?)"));
  TRY(to(select_head_,
         "SELECT max(coalesce((SELECT max(offset) FROM events), 0), (SELECT value FROM meta WHERE name = "
         "'head'))"));
  TRY(to(insert_key_, "INSERT OR REPLACE INTO idempotency VALUES(?, ?, ?, ?, ?, ?)"));
  TRY(to(select_key_,
         "SELECT body, first, count, time FROM idempotency WHERE principal = ? AND key = ? AND time >= ?"));
  TRY(to(select_log_,
         "SELECT " + std::string(event_columns) +
             " FROM events e JOIN topics t ON t.id = e.topic WHERE e.offset > ? AND e.offset <= ?"
             " ORDER BY e.offset LIMIT ?"));
  TRY(to(select_oldest_,
         "SELECT offset, topic, seq FROM events WHERE offset <= ? ORDER BY offset LIMIT ?"));
  TRY(to(delete_event_, "DELETE FROM events WHERE offset = ?"));
  TRY(to(delete_index_, "DELETE FROM topic_index WHERE topic = ? AND offset = ?"));
  TRY(to(raise_floor_, "UPDATE topics SET floor = ?, last_seq = ? WHERE id = ?"));
  TRY(to(forget_keys_,
         "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE time < ? LIMIT ?)"));
  TRY(to(select_time_, "SELECT offset, time FROM events WHERE offset >= ? ORDER BY offset LIMIT 1"));
  TRY(to(set_head_, "UPDATE meta SET value = max(value, ?) WHERE name = 'head'"));
  return index_.prepare(database_);
}

Result<Opened> SqliteStore::open(Epoch fresh) {
  {
    const ResetAtEnd end(select_head_);
    TRY(select_head_.step());
    head_ = to_unsigned(select_head_.integer(0));
  }
  Statement insert = TRY(database_.prepare("INSERT INTO epochs(epoch, first_offset) VALUES(?, ?)"));
  TRY(insert.bind(1, to_signed(fresh.bits)).bind(2, to_signed(head_ + 1)).run());
  epoch_ = fresh;
  epochs_ = EpochTable(TRY(read_epochs(database_)));
  TRY(reload());
  return Opened{epochs_.rows(), head_, indexed_};
}

// What is kept in memory of the rows that the index does not know yet; after an opening, and after a failed
// commit.
Result<void> SqliteStore::reload() {
  Statement select = TRY(database_.prepare("SELECT value FROM meta WHERE name = 'indexed'"));
  Offset at = TRY(read_indexed(select));
  indexed_ = at;
  index_.restart(at);
  topics_.clear();
  Statement rows =
      TRY(database_.prepare("SELECT e.offset, e.topic, e.seq, t.name FROM events e JOIN topics t ON t.id = "
                            "e.topic WHERE e.offset > ?"
                            " ORDER BY e.offset"));
  rows.bind(1, to_signed(at));
  while (TRY(rows.step())) {
    index_.add(rows.integer(1), to_unsigned(rows.integer(0)));
    topics_.put(rows.text(3), {rows.integer(1), to_unsigned(rows.integer(2))});
  }
  return {};
}

Error SqliteStore::give_up(Error error) {
  if (error.code != Code::store_full) {
    error.code = Code::store_failed;
    failure_ = error;
  }
  return error;
}

// All or nothing. An error at the end, where the flush happens, leaves it unknown: it is never tried again
// (the kernel may have dropped what it could not write), the store is closed for good instead.
template <class Work>
Result<void> SqliteStore::in_transaction(Work work) {
  if (failure_) return *failure_;
  if (auto begun = database_.execute("BEGIN IMMEDIATE"); !begun) return give_up(std::move(begun).error());
  Result<void> done = work();
  if (done) done = database_.execute("COMMIT");
  if (done) return {};
  if (sqlite3_get_autocommit(database_.handle()) == 0) (void)database_.execute("ROLLBACK");
  const Error error = give_up(std::move(done).error());
  if (!failure_) {
    if (auto reloaded = reload(); !reloaded) return give_up(std::move(reloaded).error());
  }
  return error;
}

Result<void> SqliteStore::commit(std::span<Event> events, std::span<const IdempotencyRecord> records) {
  Offset indexed = indexed_;
  const Offset before = head_;
  const auto done = in_transaction([&] { return write(events, records, indexed); });
  if (!done) {
    head_ = before;
    return done.error();
  }
  indexed_.store(indexed, std::memory_order_release);
  return checkpoint_if_due();
}

Result<void> SqliteStore::write(std::span<Event> events, std::span<const IdempotencyRecord> records,
                                Offset& indexed) {
  const Offset base = head_;
  for (Event& event : events) TRY(insert(event));
  for (const auto& record : records) {
    const std::string_view body(reinterpret_cast<const char*>(record.body.data()), record.body.size());
    insert_key_.bind(1, std::string_view(record.principal))
        .bind(2, std::string_view(record.key))
        .bind_blob(3, body);
    insert_key_.bind(4, to_signed(base + 1 + record.first)).bind(5, to_signed(record.count));
    TRY(insert_key_.bind(6, record.time.value.count()).run());
  }
  indexed = TRY(index_.insert_slice(events.size() * 2));
  return {};
}

Result<TopicState*> SqliteStore::topic_of(const std::string& name) {
  if (TopicState* known = topics_.find(name)) return known;
  TopicState state;
  {
    const ResetAtEnd end(select_topic_);
    if (TRY(select_topic_.bind(1, std::string_view(name)).step()))
      state = {select_topic_.integer(0), to_unsigned(select_topic_.integer(1))};
  }
  if (state.id == 0) {
    TRY(insert_topic_.bind(1, std::string_view(name)).run());
    state.id = sqlite3_last_insert_rowid(database_.handle());
  } else {
    const ResetAtEnd end(select_newest_);
    if (TRY(select_newest_.bind(1, state.id).step()))
      state.last_seq = std::max(state.last_seq, to_unsigned(select_newest_.integer(0)));
  }
  return &topics_.put(name, state);
}

Result<void> SqliteStore::insert(Event& event) {
  TopicState& topic = *TRY(topic_of(event.topic));
  event.epoch = epoch_;
  event.offset = ++head_;
  event.seq = ++topic.last_seq;
  Statement& row = insert_event_;
  row.bind(1, to_signed(event.offset)).bind(2, topic.id).bind(3, to_signed(event.seq));
  row.bind(4, std::string_view(event.type)).bind(5, event.time.value.count());
  row.bind_text_or_null(6, event.data)
      .bind_text_or_null(7, event.notification)
      .bind_text_or_null(8, event.key);
  event.expires ? row.bind(9, event.expires->value.count()) : row.bind_null(9);
  row.bind_text_or_null(10, event.keys);
  event.spread_ms != 0 ? row.bind(11, std::int64_t{event.spread_ms}) : row.bind_null(11);
  TRY(row.bind_text_or_null(12, event.version).run());
  index_.add(topic.id, event.offset);
  return {};
}

Result<void> SqliteStore::checkpoint_if_due() {
  if (wal_pages_ < kCheckpointPages) return {};
  const int code =
      sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // A full disk or a busy reader only delays it: what was committed is in the WAL. A failed flush ends
  // everything.
  const int plain = code & 0xff;
  if (code == SQLITE_OK || plain == SQLITE_BUSY || plain == SQLITE_LOCKED || plain == SQLITE_FULL)
    return {};
  give_up(to_error(code, "checkpoint", database_.handle()));
  return {};  // this commit is durable; the next one is refused
}

Result<void> SqliteStore::index_now() {
  while (index_.waiting() > 0) {
    index_.close_batch();
    Offset indexed = indexed_;
    const auto insert_all = [&]() -> Result<void> {
      indexed = TRY(index_.insert_slice(limits::index_batch_rows));
      return {};
    };
    TRY(in_transaction(insert_all));
    indexed_.store(indexed, std::memory_order_release);
  }
  return {};
}

Result<std::optional<IdempotencyRecord>> SqliteStore::find_idempotency(std::string_view principal,
                                                                       std::string_view key,
                                                                       Timestamp not_before) {
  const ResetAtEnd end(select_key_);
  select_key_.bind(1, principal).bind(2, key).bind(3, not_before.value.count());
  if (!TRY(select_key_.step())) return std::optional<IdempotencyRecord>{};
  IdempotencyRecord record{std::string(principal),
                           std::string(key),
                           {},
                           to_unsigned(select_key_.integer(1)),
                           to_unsigned(select_key_.integer(2)),
                           Timestamp{Duration{select_key_.integer(3)}}};
  const std::string body = select_key_.text(0);
  std::memcpy(record.body.data(), body.data(), std::min(body.size(), record.body.size()));
  return std::optional<IdempotencyRecord>{std::move(record)};
}

Result<std::vector<Event>> SqliteStore::read_log(Offset after, Offset upto, std::size_t rows_max) {
  const ResetAtEnd end(select_log_);
  select_log_.bind(1, to_signed(after)).bind(2, to_signed(upto)).bind(3, to_signed(rows_max));
  std::vector<Event> rows;
  while (TRY(select_log_.step())) rows.push_back(event_of_row(select_log_, epochs_));
  return rows;
}

Result<std::size_t> SqliteStore::trim(Offset upto, Timestamp forget_before, std::size_t rows_max) {
  if (std::min(upto, head_) > indexed_) TRY(index_now());
  std::size_t gone = 0;
  const auto trim_and_forget = [&]() -> Result<void> {
    gone = TRY(trim_slice(upto, rows_max));
    return forget_keys_.bind(1, forget_before.value.count()).bind(2, to_signed(rows_max)).run();
  };
  TRY(in_transaction(trim_and_forget));
  return gone;
}

Result<std::size_t> SqliteStore::trim_slice(Offset upto, std::size_t rows_max) {
  struct Row {
    std::int64_t offset, topic, seq;
  };
  std::vector<Row> rows;
  select_oldest_.bind(1, to_signed(upto)).bind(2, to_signed(rows_max));
  while (TRY(select_oldest_.step()))
    rows.push_back({select_oldest_.integer(0), select_oldest_.integer(1), select_oldest_.integer(2)});
  for (const Row& row : rows) {
    TRY(delete_event_.bind(1, row.offset).run());
    TRY(delete_index_.bind(1, row.topic).bind(2, row.offset).run());
    TRY(raise_floor_.bind(1, row.offset).bind(2, row.seq).bind(3, row.topic).run());
  }
  // The head is remembered apart, for the day when no row is left.
  if (!rows.empty()) TRY(set_head_.bind(1, rows.back().offset).run());
  return rows.size();
}

// Times never run backwards in the log, so this is a search by halves.
Result<Offset> SqliteStore::last_before(Timestamp before) {
  Offset low = 0, high = head_;  // low is older than `before`, or 0; everything above high is not
  while (low < high) {
    const Offset middle = low + (high - low + 1) / 2;
    const ResetAtEnd end(select_time_);
    const bool found = TRY(select_time_.bind(1, to_signed(middle)).step());
    if (found && select_time_.integer(1) < before.value.count()) {
      low = to_unsigned(select_time_.integer(0));
    } else {
      high = middle - 1;
    }
  }
  return low;
}

Result<std::unique_ptr<StoreReader>> SqliteStore::open_reader() {
  return SqliteReader::open(options_.path, options_.vfs, epochs_);
}

}  // namespace
}  // namespace sqlite

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options) {
  auto store = std::make_unique<sqlite::SqliteStore>(std::move(options));
  TRY(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace belfry
