#include "store/memory_store.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "store/memory_feed.h"

namespace belfry {
namespace {

std::vector<Event> rows_between(const MemoryDisk& disk, Offset after, Offset upto, std::size_t rows_max) {
  std::vector<Event> rows;
  for (auto it = disk.log.upper_bound(after); it != disk.log.end() && it->first <= upto; ++it) {
    if (rows.size() == rows_max) break;
    rows.push_back(it->second);
  }
  return rows;
}

// Below it nobody knows any more what was there.
Offset forgotten_above(const MemoryDisk& disk, Offset after) {
  return disk.forgotten > after ? disk.forgotten : 0;
}

// Readers may be on other threads, so that the contract suite can run on this store too: one lock for all.
struct Shared {
  MemoryDisk* disk;
  std::mutex mutex;
  std::atomic<Offset> indexed{0};
};

class MemoryReader final : public StoreReader {
 public:
  explicit MemoryReader(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  Result<Page> read(const PageRequest& request) override {
    std::lock_guard lock(shared_->mutex);
    const MemoryDisk& disk = *shared_->disk;
    if (!request.follows_of.empty()) return read_follows(disk, request);
    Page page;
    page.floor = forgotten_above(disk, request.after);
    for (const auto& [name, topic] : disk.topics) {
      const bool wanted = std::any_of(request.selectors.begin(), request.selectors.end(),
                                      [&name = name](const Selector& s) { return matches(s.topic, name); });
      if (wanted) page.floor = std::max(page.floor, topic.floor);
    }
    std::size_t bytes = 0;
    page.upto = std::max(disk.indexed, request.after);
    for (auto it = disk.log.upper_bound(request.after); it != disk.log.end(); ++it) {
      if (it->first > page.upto) break;
      ++page.rows_read;
      const bool wanted = std::any_of(request.selectors.begin(), request.selectors.end(),
                                      [&](const Selector& s) { return accepts(s, it->second); });
      if (!wanted) continue;
      bytes += it->second.bytes();
      const bool full = page.events.size() == request.events_max || bytes > request.bytes_max;
      if (full && !page.events.empty() && !disk.planted.unbounded_page) {
        page.upto = page.events.back().offset;
        break;
      }
      page.events.push_back(it->second);
    }
    return page;
  }

  Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    return rows_between(*shared_->disk, after, upto, rows_max);
  }

  Result<void> snapshot(const std::function<Result<void>(FeedRows&)>& ask) override {
    std::lock_guard lock(shared_->mutex);
    MemoryFeedRows rows(*shared_->disk);
    return ask(rows);
  }

 private:
  static Page read_follows(const MemoryDisk& disk, const PageRequest& request) {
    Page page;
    page.upto = request.after;
    const auto own = disk.topics.find(user_topic(request.follows_of));
    page.floor = forgotten_above(disk, request.after);
    if (own != disk.topics.end()) page.floor = std::max(page.floor, own->second.floor);
    const auto user = disk.users.find(request.follows_of);
    if (user == disk.users.end()) return page;
    for (const Follow& follow : user->second.follows)
      if (follow.holds(request.after)) page.follows.push_back(follow.topic);
    page.mutes = user->second.mutes;
    return page;
  }

  std::shared_ptr<Shared> shared_;
};

class MemoryStore final : public Store {
 public:
  MemoryStore(std::unique_ptr<MemoryDisk> own, MemoryDisk* disk)
      : own_(std::move(own)), shared_(std::make_shared<Shared>()) {
    shared_->disk = disk != nullptr ? disk : own_.get();
  }

  Result<Opened> open(Epoch fresh) override {
    std::lock_guard lock(shared_->mutex);
    disk().epochs.push_back({fresh, disk().head + 1});
    drop_epochs(disk().epochs);
    shared_->indexed = disk().indexed;
    const Timestamp newest = disk().log.empty() ? Timestamp{} : disk().log.rbegin()->second.time;
    return Opened{disk().epochs, disk().head, disk().indexed, newest};
  }

  Result<Committed> commit(const Commit& commit) override {
    std::lock_guard lock(shared_->mutex);
    using Trouble = MemoryDisk::Trouble;
    if (closed_) return fail(Code::store_failed, "The store is closed after an earlier failure.");
    const Trouble trouble = std::exchange(disk().trouble, Trouble::none);
    if (trouble == Trouble::full) {
      // As far as SQLite comes before it is full.
      for (std::size_t i = 0; i < commit.events.size(); ++i) commit.events[i].offset = disk().head + 1 + i;
      return fail(Code::store_full);
    }
    closed_ = trouble != Trouble::none;
    if (trouble == Trouble::failed_before) return fail(Code::store_failed);
    const Offset base = disk().head;
    Committed committed;
    for (const Change& change : commit.changes) apply_change(disk(), change, base, committed);
    for (Event& event : commit.events) insert(event, committed);
    for (IdempotencyRecord record : commit.records) {
      record.first += record.scheduled ? committed.first_scheduled : base + 1;
      disk().keys.insert_or_assign({record.principal, record.key}, record);
    }
    if (!disk().index_lags) index();
    if (trouble == Trouble::failed_after) return fail(Code::store_failed);
    return committed;
  }

  Result<std::optional<IdempotencyRecord>> find_idempotency(std::string_view principal,
                                                            std::string_view key) override {
    std::lock_guard lock(shared_->mutex);
    const auto it = disk().keys.find({std::string(principal), std::string(key)});
    if (it == disk().keys.end()) return std::optional<IdempotencyRecord>{};
    return std::optional<IdempotencyRecord>{it->second};
  }

  Result<std::vector<Event>> read_log(Offset after, Offset upto, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    return rows_between(disk(), after, upto, rows_max);
  }

  Offset indexed() const override { return shared_->indexed; }
  Result<void> index_now() override {
    std::lock_guard lock(shared_->mutex);
    if (disk().index_full) return fail(Code::store_full);
    index();
    return {};
  }

  Result<std::vector<Offset>> trim(Offset upto, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    if (std::min(upto, disk().head) > disk().indexed) index();
    std::vector<Offset> gone;
    for (auto it = disk().log.begin();
         it != disk().log.end() && it->first <= upto && gone.size() < rows_max;) {
      const Offset offset = it->first;
      raise_floor(it->second.topic, offset);
      gone.push_back(offset);
      ++it;
      remove_event(disk(), offset);
    }
    forget_time_steps();
    return gone;
  }

  Result<Erased> erase_some(const EraseUser& erasure, std::size_t rows_max) override {
    TRY(index_now());
    std::lock_guard lock(shared_->mutex);
    Erased erased = take_some(disk(), erasure, rows_max);
    forget_time_steps();
    return erased;
  }

  Result<std::size_t> forget_keys(Timestamp before, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    return std::erase_if(disk().keys, [&](const auto& row) {
      return row.second.time < before && rows_max > 0 && rows_max-- > 0;
    });
  }

  Result<std::vector<Offset>> sweep(std::span<const RetentionRule> rules, const Now& now,
                                    std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    std::vector<Offset> gone = swept(disk(), rules, now, rows_max);
    if (!gone.empty()) index();
    for (const Offset offset : gone) {
      raise_floor(disk().log.at(offset).topic, offset);
      remove_event(disk(), offset);
    }
    forget_time_steps();
    return gone;
  }

  bool sweep_unfinished() const override { return false; }

  Result<Offset> highest_floor() override {
    std::lock_guard lock(shared_->mutex);
    Offset highest = disk().forgotten;
    for (const auto& [name, topic] : disk().topics) highest = std::max(highest, topic.floor);
    return highest;
  }

  Result<std::vector<Offset>> expired(Timestamp now, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    std::vector<Offset> out;
    for (const auto& [offset, event] : disk().log)
      if (event.expired(now) && out.size() < rows_max) out.push_back(offset);
    return out;
  }

  Result<std::vector<Scheduled>> due(Timestamp now, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    std::vector<Scheduled> out;
    for (const auto& [id, scheduled] : disk().scheduled)
      if (scheduled.deliver_at <= now) out.push_back(scheduled);
    std::stable_sort(out.begin(), out.end(),
                     [](const Scheduled& a, const Scheduled& b) { return a.deliver_at < b.deliver_at; });
    if (out.size() > rows_max) out.resize(rows_max);
    return out;
  }

  Result<std::optional<Scheduled>> scheduled(std::uint64_t id) override {
    std::lock_guard lock(shared_->mutex);
    const auto found = disk().scheduled.find(id);
    if (found == disk().scheduled.end()) return std::optional<Scheduled>{};
    return std::optional<Scheduled>{found->second};
  }

  Result<std::vector<Revocation>> revocations() override {
    std::vector<Revocation> out;
    for (const auto& [key, row] : disk().revocations) out.push_back(row);
    return out;
  }

  Result<std::vector<UsedTicket>> tickets() override {
    std::vector<UsedTicket> out;
    for (const auto& [id, row] : disk().tickets) out.push_back(row);
    return out;
  }

  Result<std::size_t> forget_access(Timestamp now, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    const auto take = [&](Timestamp end) { return end <= now && rows_max > 0 && rows_max-- > 0; };
    return std::erase_if(disk().revocations, [&](const auto& row) { return take(row.second.forget); }) +
           std::erase_if(disk().tickets, [&](const auto& row) { return take(row.second.until); });
  }

  Result<std::size_t> forget_remains(Timestamp now, std::size_t rows_max) override {
    std::lock_guard lock(shared_->mutex);
    return belfry::forget_remains(disk(), now, rows_max);
  }

  Result<std::vector<Position>> positions() override {
    std::vector<Position> out;
    for (const auto& [key, row] : disk().positions) out.push_back(row);
    return out;
  }

  Result<std::vector<DeadLetter>> dead_letters(std::string_view source, std::size_t rows_max) override {
    std::vector<DeadLetter> out;
    for (auto it = disk().dead_letters.rbegin(); it != disk().dead_letters.rend(); ++it)
      if (it->second.source == source && out.size() < rows_max) out.push_back(it->second);
    return out;
  }

  FeedRows& feed_rows() override {
    if (!feed_rows_) feed_rows_ = std::make_unique<MemoryFeedRows>(disk());
    return *feed_rows_;
  }

  Result<Offset> last_older(Duration age, const Now& now) override {
    std::lock_guard lock(shared_->mutex);
    Offset last = 0;
    for (const auto& [offset, event] : disk().log) {
      if (!older(offset, event, age, now)) break;
      last = offset;
    }
    return last;
  }

  Result<std::unique_ptr<StoreReader>> open_reader() override {
    return std::unique_ptr<StoreReader>(std::make_unique<MemoryReader>(shared_));
  }

 private:
  void index() { shared_->indexed = disk().indexed = disk().head; }
  void raise_floor(const std::string& topic, Offset offset) {
    if (disk().planted.keep_floors) return;
    Offset& floor = disk().topics[topic].floor;
    floor = std::max(floor, offset);
  }
  bool older(Offset offset, const Event& event, Duration age, const Now& now) {
    static const TimeLine no_steps;
    return (disk().planted.dates_alone ? no_steps : disk().time_line).older(offset, event.time, age, now);
  }
  void forget_time_steps() {
    if (disk().log.empty()) return;
    const Event& first = disk().log.begin()->second;
    disk().time_line.forget_below(first.offset, first.time);
  }
  MemoryDisk& disk() { return *shared_->disk; }

  void insert(Event& event, Committed& committed) {
    event.epoch = disk().epochs.back().epoch;
    event.offset = ++disk().head;
    auto& topic = disk().topics[event.topic];
    event.seq = ++topic.last_seq;
    if (!event.type.starts_with(own_types)) ++topic.last_plain;
    if (!event.key.empty()) {
      for (const auto& [at, earlier] : disk().log) {
        if (earlier.topic != event.topic || earlier.key != event.key) continue;
        const Offset offset = at;
        remove_event(disk(), offset);
        committed.withdrawn.push_back(offset);
        break;
      }
    }
    disk().plain[event.offset] = topic.last_plain;
    disk().log.emplace(event.offset, event);
  }

  std::unique_ptr<MemoryFeedRows> feed_rows_;
  std::unique_ptr<MemoryDisk> own_;
  std::shared_ptr<Shared> shared_;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<Store> make_memory_store(MemoryDisk& disk) {
  return std::make_unique<MemoryStore>(nullptr, &disk);
}

std::unique_ptr<Store> make_memory_store() {
  return std::make_unique<MemoryStore>(std::make_unique<MemoryDisk>(), nullptr);
}

}  // namespace belfry
