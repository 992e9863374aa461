#include "ingest/horizon.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace belfry::ingest {
namespace {

// A database as far as a table that only grows goes: transactions draw an id, get a transaction id later,
// write their row, and commit or do not, in any order. A snapshot shows what has committed.
class MadeUpDatabase {
 public:
  explicit MadeUpDatabase(std::uint64_t seed) : random_(seed) {}

  void step() {
    const int what = pick(10);
    if (what < 3 || living_.empty()) {
      living_[++last_virtual_] = {};
      return;
    }
    auto it = living_.begin();
    std::advance(it, pick(static_cast<int>(living_.size())));
    Transaction& one = it->second;
    if (one.id == 0) {
      one.id = ++last_id_;
    } else if (one.xid == 0) {
      one.xid = ++last_xid_;
    } else {
      if (pick(10) > 0) rows_.insert({one.xid, one.id});
      living_.erase(it);
    }
  }
  void finish() {
    while (!living_.empty()) {
      auto it = living_.begin();
      if (it->second.xid != 0 && it->second.id != 0) rows_.insert({it->second.xid, it->second.id});
      living_.erase(it);
    }
  }

  std::vector<std::string> living() const {
    std::vector<std::string> out;
    for (const auto& [name, one] : living_) out.push_back(std::to_string(name));
    return out;
  }
  std::uint64_t oldest() const {
    std::uint64_t out = last_xid_ + 1;
    for (const auto& [name, one] : living_)
      if (one.xid != 0) out = std::min(out, one.xid);
    return out;
  }
  std::uint64_t next() const { return last_xid_ + 1; }
  std::int64_t highest() const {
    std::int64_t out = 0;
    for (const auto& [xid, id] : rows_) out = std::max(out, id);
    return out;
  }
  const std::set<std::pair<std::uint64_t, std::int64_t>>& rows() const { return rows_; }

 private:
  struct Transaction {
    std::int64_t id = 0;
    std::uint64_t xid = 0;
  };
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  std::mt19937_64 random_;
  std::map<int, Transaction> living_;
  std::set<std::pair<std::uint64_t, std::int64_t>> rows_;
  int last_virtual_ = 0;
  std::int64_t last_id_ = 0;
  std::uint64_t last_xid_ = 2;
};

struct Outcome {
  std::size_t missed = 0, doubled = 0;
  std::int64_t floor = 0;
};

// As postgres/table.cc reads. `hasty` plants the usual bug: the highest id seen is taken for a floor.
Outcome read_history(std::uint64_t seed, bool hasty) {
  MadeUpDatabase database(seed);
  std::mt19937_64 random(seed + 1);
  TableHorizon horizon(0, 0);
  std::multiset<std::int64_t> taken;
  std::pair<std::uint64_t, std::int64_t> place{0, -1};
  std::int64_t hasty_floor = 0;
  const auto look = [&](std::size_t limit) {
    TableLook now;
    now.living = database.living();
    for (int i = static_cast<int>(random() % 3); i > 0; --i) database.step();  // between the two questions
    now.oldest = database.oldest();
    now.next = database.next();
    now.highest = database.highest();
    std::size_t count = 0;
    std::pair<std::uint64_t, std::int64_t> last = place;
    for (const auto& [xid, id] : database.rows()) {
      const std::pair<std::uint64_t, std::int64_t> row{xid, id};
      if (row <= place || xid >= now.oldest || id <= (hasty ? hasty_floor : horizon.floor())) continue;
      if (count++ == limit) break;
      taken.insert(id);
      last = row;
    }
    now.all_taken = count <= limit;
    place = now.all_taken ? std::pair<std::uint64_t, std::int64_t>{now.oldest, -1} : last;
    hasty_floor = now.highest;
    horizon.looked(now);
  };
  for (int i = 0; i < 400; ++i) {
    for (int steps = static_cast<int>(random() % 6); steps > 0; --steps) database.step();
    look(1 + random() % 4);
  }
  database.finish();
  for (int i = 0; i < 400; ++i) {
    look(8);
  }
  database.finish();
  for (int i = 0; i < 400; ++i) look(100);
  Outcome out;
  out.floor = horizon.floor();
  for (const auto& [xid, id] : database.rows()) {
    if (xid >= database.oldest()) continue;
    const auto times = taken.count(id);
    out.missed += times == 0;
    out.doubled += times > 1;
  }
  return out;
}

TEST(HorizonTest, NoRowIsMissedOrDoubledWhateverTheOrderOfCommits) {
  std::int64_t highest = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const Outcome outcome = read_history(seed, false);
    ASSERT_EQ(outcome.missed, 0u) << "seed " << seed;
    ASSERT_EQ(outcome.doubled, 0u) << "seed " << seed;
    highest = std::max(highest, outcome.floor);
  }
  EXPECT_GT(highest, 0) << "the floor follows, or every look would read the whole table";
}

TEST(HorizonTest, TheUsualBugIsCaught) {
  std::size_t missed = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) missed += read_history(seed, true).missed;
  EXPECT_GT(missed, 0u);
}

TEST(HorizonTest, SlackKeepsTheFloorBelowIdsThatWereHandedOut) {
  TableHorizon horizon(0, 100);
  for (int i = 0; i < 10; ++i) horizon.looked({{}, 50, 50, 60, true});
  EXPECT_EQ(horizon.floor(), 0);
  for (int i = 0; i < 10; ++i) horizon.looked({{}, 50, 50, 1060, true});
  EXPECT_EQ(horizon.floor(), 960);
}

}  // namespace
}  // namespace belfry::ingest
