#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "store/sqlite/change_writer.h"
#include "store/sqlite/disk_room.h"
#include "store/sqlite/event_writer.h"
#include "store/sqlite/feed_rows.h"
#include "store/sqlite/remains.h"
#include "store/sqlite/retention.h"
#include "store/sqlite/sqlite_reader.h"

namespace belfry {
namespace sqlite {
namespace {

constexpr int kCheckpointPages = 4000;  // of the WAL; about 16 MiB

Error open_error(const std::string& what, const std::string& path) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return fail(full ? Code::store_full : Code::store_failed, what + path + ": " + std::strerror(errno));
}

// One writer per database, also across processes. The lock goes with the process.
class WriterLock {
 public:
  ~WriterLock() {
    if (file_ >= 0) ::close(file_);
  }
  bool held() const { return file_ >= 0; }
  Result<void> take(const std::string& path) {
    if (file_ < 0) file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file_ < 0) return open_error("Cannot create ", path);
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0)
      return fail(Code::store_failed, "Another process has the database open: " + path);
    return {};
  }

 private:
  int file_ = -1;
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(SqliteOptions options) : options_(std::move(options)), reserve_(options_.path) {}

  Result<void> start();
  Result<Opened> open(Epoch fresh) override;
  Result<Committed> commit(const Commit& commit) override;
  Result<std::optional<IdempotencyRecord>> find_idempotency(std::string_view principal,
                                                            std::string_view key) override;
  Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) override;
  Offset indexed() const override { return indexed_.load(std::memory_order_acquire); }
  Result<void> index_now() override;
  Result<std::vector<Offset>> trim(Offset upto, std::size_t rows_max) override;
  Result<Erased> erase_some(const EraseUser& erasure, std::size_t rows_max) override;
  Result<std::size_t> forget_keys(Timestamp before, std::size_t rows_max) override;
  Result<Offset> highest_floor() override {
    return std::max(TRY(retention_.highest_floor()), TRY(remains_.forgotten()));
  }
  Result<std::vector<Offset>> sweep(std::span<const RetentionRule> rules, const Now& now,
                            std::size_t rows_max) override;
  bool sweep_unfinished() const override { return retention_.unfinished(); }
  Result<std::vector<Offset>> expired(Timestamp now, std::size_t rows_max) override {
    return retention_.expired(now, rows_max);
  }
  Result<std::vector<Scheduled>> due(Timestamp now, std::size_t rows_max) override {
    return changes_.due(now, rows_max);
  }
  Result<std::optional<Scheduled>> scheduled(std::uint64_t id) override { return changes_.scheduled(id); }
  Result<std::vector<Revocation>> revocations() override { return changes_.access().revocations(); }
  Result<std::vector<UsedTicket>> tickets() override { return changes_.access().tickets(); }
  Result<std::size_t> forget_access(Timestamp now, std::size_t rows_max) override;
  Result<std::size_t> forget_remains(Timestamp now, std::size_t rows_max) override;
  Result<std::vector<Position>> positions() override { return changes_.sources().positions(); }
  Result<std::vector<DeadLetter>> dead_letters(std::string_view source, std::size_t rows_max) override {
    return changes_.sources().dead_letters(source, rows_max);
  }
  FeedRows& feed_rows() override { return feed_rows_; }
  Result<Offset> last_older(Duration age, const Now& now) override;
  Result<std::unique_ptr<StoreReader>> open_reader() override;

 private:
  Result<void> begin();
  Result<void> prepare();
  Result<void> reload();
  template <class Work>
  Result<void> with_reserve(Work work);
  Result<void> write_epoch();
  using IndexAmount = TopicIndexWriter::Amount;
  template <class Work>
  Result<void> in_transaction(Work work, IndexAmount amount = IndexAmount::batches);
  Error give_up(Error error);
  Result<Committed> write(const Commit& commit);
  template <class Remove>
  Result<std::vector<Offset>> remove_some(Remove remove);
  template <class Forget>
  Result<std::size_t> forget_some(Forget forget);
  Result<void> write_record(const IdempotencyRecord& record, Offset base, const Committed& committed);
  Result<void> checkpoint_if_due();
  Result<void> read_time_line();
  Result<void> forget_time_steps();

  const SqliteOptions options_;
  WriterLock lock_;
  Reserve reserve_;
  WalIndexRoom index_room_;  // before the database: goes after it
  Database database_;
  EpochTable epochs_;
  EventWriter events_;
  ChangeWriter changes_{events_};
  TimeLine time_line_;
  Retention retention_{events_, time_line_};
  SqliteFeedRows feed_rows_{epochs_};
  Remains remains_{events_, feed_rows_};
  Statement select_head_, insert_key_, select_key_, select_log_, select_time_, set_head_, select_first_,
      forget_steps_;
  Epoch epoch_;
  Offset head_ = 0;
  int wal_pages_ = 0;  // as of the last commit
  bool served_ = false;  // something was committed since the start
  std::optional<EpochRow> pending_epoch_;  // goes into the next transaction
  std::atomic<Offset> indexed_{0};
  std::optional<Error> failure_;
};

Result<void> SqliteStore::start() {
  std::error_code failed;
  const bool is_new = std::filesystem::file_size(options_.path, failed) == 0 || failed;
  auto begun = with_reserve([this] { return begin(); });
  if (begun) return begun;
  database_ = {};
  // What is half-made is not left behind.
  if (is_new && lock_.held() && begun.error().code == Code::store_full)
    for (const char* part : {"-wal", "-shm", ""}) ::unlink((options_.path + part).c_str());
  return begun;
}

// What a start writes it can write on a full disk, too: there is a file that holds room for it.
template <class Work>
Result<void> SqliteStore::with_reserve(Work work) {
  Result<void> done = work();
  if (done || done.error().code != Code::store_full || !reserve_.give_up()) return done;
  log_warn("the disk is full; the reserve was given up for this start", {{"data", options_.path}});
  return work();
}

Result<void> SqliteStore::begin() {
  database_ = {};
  TRY(lock_.take(options_.path + ".lock"));
  // Made by us first, so that nobody else can read it; SQLite gives its WAL the same mode.
  const int file = ::open(options_.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return open_error("Cannot open ", options_.path);
  ::close(file);
  database_ = TRY(Database::open(options_.path, SQLITE_OPEN_READWRITE, options_.vfs));
  TRY(database_.execute("PRAGMA journal_mode = WAL"));
  TRY(database_.execute(("PRAGMA synchronous = " + options_.synchronous).c_str()));
  TRY(database_.execute(
      "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0"));
  TRY(prepare_schema(database_));
  index_room_.open(options_.path);
  wal_pages_ = frames_of(options_.path + "-wal");
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
  TRY(database_.prepare(select_head_, head_sql));
  TRY(database_.prepare(insert_key_, "INSERT OR REPLACE INTO idempotency VALUES(?, ?, ?, ?, ?, ?, ?)"));
  TRY(database_.prepare(
      select_key_,
      "SELECT body, first, count, time, scheduled FROM idempotency WHERE principal = ? AND key = ?"));
  TRY(database_.prepare(
      select_log_, "SELECT " + std::string(event_columns) +
                       " FROM events e JOIN topics t ON t.id = e.topic WHERE e.offset > ? AND e.offset <= ?"
                       " ORDER BY e.offset LIMIT ?"));
  TRY(database_.prepare(select_time_,
                        "SELECT offset, time FROM events WHERE offset >= ? ORDER BY offset LIMIT 1"));
  TRY(database_.prepare(set_head_, "UPDATE meta SET value = max(value, ?) WHERE name = 'head'"));
  TRY(database_.prepare(select_first_, "SELECT offset, time FROM events ORDER BY offset LIMIT 1"));
  TRY(database_.prepare(forget_steps_, "DELETE FROM time_steps WHERE offset <= ? AND was <= ?"));
  TRY(events_.prepare(database_));
  TRY(changes_.prepare(database_));
  TRY(feed_rows_.prepare(database_));
  TRY(remains_.prepare(database_));
  return retention_.prepare(database_);
}

Result<Opened> SqliteStore::open(Epoch fresh) {
  {
    const ResetAtEnd end(select_head_);
    TRY(select_head_.step());
    head_ = to_unsigned(select_head_.integer(0));
  }
  std::vector<EpochRow> rows = TRY(read_epochs(database_));
  const bool is_first = rows.empty();
  rows.push_back({fresh, head_ + 1});
  epoch_ = fresh;
  epochs_ = EpochTable(rows);
  pending_epoch_ = rows.back();
  TRY(reload());
  const auto begun = with_reserve([this] { return in_transaction([]() -> Result<void> { return {}; }); });
  // No cursor names the new epoch before an event has it, and its row is in that event's transaction. Only
  // the first epoch has cursors before.
  if (!begun && (is_first || begun.error().code != Code::store_full)) return begun.error();
  if (!begun) log_warn("the disk is full; publishers are refused", {{"data", options_.path}});
  if (begun) epochs_ = EpochTable(TRY(read_epochs(database_)));
  reserve_.given_up() || !begun ? reserve_.hold_rest() : reserve_.hold();
  Statement newest = TRY(database_.prepare("SELECT time FROM events ORDER BY offset DESC LIMIT 1"));
  const bool any = TRY(newest.step());
  return Opened{epochs_.rows(), head_, indexed_, Timestamp{Duration{any ? newest.integer(0) : 0}}};
}

Result<void> SqliteStore::write_epoch() {
  if (!pending_epoch_) return {};
  Statement insert = TRY(database_.prepare("INSERT INTO epochs(epoch, first_offset) VALUES(?, ?)"));
  insert.bind(1, to_signed(pending_epoch_->epoch.bits)).bind(2, to_signed(pending_epoch_->first));
  TRY(insert.run());
  return drop_epochs(database_);
}

Result<void> SqliteStore::reload() {
  Statement select = TRY(database_.prepare("SELECT value FROM meta WHERE name = 'indexed'"));
  indexed_ = TRY(read_indexed(select));
  retention_.restart();
  TRY(read_time_line());
  remains_.restart();
  return events_.restart(indexed_);
}

Result<void> SqliteStore::read_time_line() {
  time_line_.clear();
  Statement select = TRY(database_.prepare("SELECT offset, was, time FROM time_steps ORDER BY offset"));
  while (TRY(select.step()))
    time_line_.add(to_unsigned(select.integer(0)), Timestamp{Duration{select.integer(1)}},
                   Timestamp{Duration{select.integer(2)}});
  return {};
}

// After events went. TimeLine says which steps go.
Result<void> SqliteStore::forget_time_steps() {
  if (time_line_.empty()) return {};
  const ResetAtEnd end(select_first_);
  if (!TRY(select_first_.step())) return {};
  const std::int64_t first = select_first_.integer(0), time = select_first_.integer(1);
  if (!time_line_.forget_below(to_unsigned(first), Timestamp{Duration{time}})) return {};
  return forget_steps_.bind(1, first).bind(2, time).run();
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
Result<void> SqliteStore::in_transaction(Work work, IndexAmount amount) {
  if (failure_) return *failure_;
  if (auto room = index_room_.ensure(wal_pages_); !room) return give_up(std::move(room).error());
  if (auto begun = database_.execute("BEGIN IMMEDIATE"); !begun) return give_up(std::move(begun).error());
  Offset indexed = 0;
  const auto work_and_index = [&]() -> Result<void> {
    TRY(work());
    TRY(write_epoch());
    indexed = TRY(events_.index().write(amount));
    return database_.commit();
  };
  const Result<void> done = work_and_index();
  if (done) {
    indexed_.store(indexed, std::memory_order_release);
    pending_epoch_.reset();
    return {};
  }
  if (sqlite3_get_autocommit(database_.handle()) == 0) (void)database_.execute("ROLLBACK");
  const Error error = give_up(done.error());
  if (!failure_) {
    if (auto reloaded = reload(); !reloaded) return give_up(std::move(reloaded).error());
  }
  return error;
}

Result<Committed> SqliteStore::commit(const Commit& commit) {
  for (const Change& change : commit.changes)
    if (std::holds_alternative<EraseUser>(change)) TRY(index_now());
  const Offset before = head_;
  Committed committed;
  const auto write_all = [&]() -> Result<void> {
    committed = TRY(write(commit));
    return {};
  };
  const auto done = in_transaction(write_all);
  if (!done) {
    head_ = before;
    return done.error();
  }
  for (const Change& change : commit.changes)
    if (const auto* step = std::get_if<PutTimeStep>(&change))
      time_line_.add(before + 1 + step->event, step->was, step->time);
  served_ = true;
  TRY(checkpoint_if_due());
  return committed;
}

Result<Committed> SqliteStore::write(const Commit& commit) {
  const Offset base = head_;
  Committed committed;
  for (const Change& change : commit.changes) TRY(changes_.apply(change, base, committed));
  for (Event& event : commit.events) {
    event.epoch = epoch_;
    event.offset = ++head_;
    const Offset replaced = TRY(events_.insert(event));
    if (replaced != 0) committed.withdrawn.push_back(replaced);
  }
  for (const auto& record : commit.records) TRY(write_record(record, base, committed));
  // The head is remembered apart, for the case that its row goes.
  if (!committed.withdrawn.empty()) TRY(set_head_.bind(1, to_signed(head_)).run());
  return committed;
}

Result<void> SqliteStore::write_record(const IdempotencyRecord& record, Offset base,
                                       const Committed& committed) {
  const std::string_view body(reinterpret_cast<const char*>(record.body.data()), record.body.size());
  const std::uint64_t first = (record.scheduled ? committed.first_scheduled : base + 1) + record.first;
  insert_key_.bind(1, std::string_view(record.principal))
      .bind(2, std::string_view(record.key))
      .bind_blob(3, body);
  insert_key_.bind(4, to_signed(first)).bind(5, to_signed(record.count));
  insert_key_.bind(6, record.time.value.count()).bind(7, std::int64_t{record.scheduled ? 1 : 0});
  return insert_key_.run();
}

Result<void> SqliteStore::checkpoint_if_due() {
  if (wal_pages_ < kCheckpointPages) return {};
  const int code =
      sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // A full disk or a busy reader only delays it: what was committed is in the WAL. A failed flush ends
  // everything.
  const int plain = code & 0xff;
  if (code == SQLITE_OK && reserve_.given_up()) reserve_.hold();
  if (code == SQLITE_OK || plain == SQLITE_BUSY || plain == SQLITE_LOCKED) return {};
  give_up(to_error(code, "checkpoint", database_.handle()));
  return {};  // this commit is durable; the next one is refused
}

Result<void> SqliteStore::index_now() {
  if (events_.index().complete()) return {};
  const auto index = [this] {
    return in_transaction([]() -> Result<void> { return {}; }, IndexAmount::all);
  };
  if (served_) return index();
  const auto done = with_reserve(index);
  if (reserve_.given_up()) reserve_.hold_rest();
  return done;
}

Result<std::optional<IdempotencyRecord>> SqliteStore::find_idempotency(std::string_view principal,
                                                                       std::string_view key) {
  const ResetAtEnd end(select_key_);
  select_key_.bind(1, principal).bind(2, key);
  if (!TRY(select_key_.step())) return std::optional<IdempotencyRecord>{};
  IdempotencyRecord record{std::string(principal),
                           std::string(key),
                           {},
                           to_unsigned(select_key_.integer(1)),
                           to_unsigned(select_key_.integer(2)),
                           Timestamp{Duration{select_key_.integer(3)}},
                           select_key_.integer(4) != 0};
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

Result<std::vector<Offset>> SqliteStore::trim(Offset upto, std::size_t rows_max) {
  if (std::min(upto, head_) > indexed_) TRY(index_now());
  return remove_some([&] { return retention_.trim(upto, rows_max); });
}

Result<std::vector<Offset>> SqliteStore::sweep(std::span<const RetentionRule> rules, const Now& now,
                                               std::size_t rows_max) {
  if (rules.empty()) return std::vector<Offset>{};
  // Topics are looked at through their index, which has to reach the newest event of those that got some.
  if (TRY(retention_.has_news(rules))) TRY(index_now());
  return remove_some([&] { return retention_.sweep(rules, now, rows_max); });
}

Result<Erased> SqliteStore::erase_some(const EraseUser& erasure, std::size_t rows_max) {
  TRY(index_now());
  Erased erased;
  const auto take = [&]() -> Result<std::vector<Offset>> {
    erased = TRY(changes_.erasure().take(erasure, rows_max));
    return erased.withdrawn;
  };
  TRY(remove_some(take));
  return erased;
}

template <class Remove>
Result<std::vector<Offset>> SqliteStore::remove_some(Remove remove) {
  std::vector<Offset> gone;
  const auto work = [&]() -> Result<void> {
    gone = TRY(remove());
    if (gone.empty()) return {};
    TRY(forget_time_steps());
    return set_head_.bind(1, to_signed(head_)).run();
  };
  TRY(in_transaction(work));
  return gone;
}

// `forget` says how many rows it took.
template <class Forget>
Result<std::size_t> SqliteStore::forget_some(Forget forget) {
  std::size_t forgotten = 0;
  const auto work = [&]() -> Result<void> {
    forgotten = TRY(forget());
    return {};
  };
  TRY(in_transaction(work));
  return forgotten;
}

Result<std::size_t> SqliteStore::forget_keys(Timestamp before, std::size_t rows_max) {
  return forget_some([&] { return retention_.forget_keys(before, rows_max); });
}

Result<std::size_t> SqliteStore::forget_access(Timestamp now, std::size_t rows_max) {
  return forget_some([&] { return changes_.access().forget(now, rows_max); });
}

Result<std::size_t> SqliteStore::forget_remains(Timestamp now, std::size_t rows_max) {
  if (remains_.rests(now)) return std::size_t{0};
  return forget_some([&] { return remains_.forget(now, rows_max); });
}

// Times never run backwards along the time line, so this is a search by halves.
Result<Offset> SqliteStore::last_older(Duration age, const Now& now) {
  Offset low = 0, high = head_;  // low is older than `age`, or 0; everything above high is not
  while (low < high) {
    const Offset middle = low + (high - low + 1) / 2;
    const ResetAtEnd end(select_time_);
    const bool found = TRY(select_time_.bind(1, to_signed(middle)).step());
    const Offset at = found ? to_unsigned(select_time_.integer(0)) : 0;
    if (found && time_line_.older(at, Timestamp{Duration{select_time_.integer(1)}}, age, now)) {
      low = at;
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
