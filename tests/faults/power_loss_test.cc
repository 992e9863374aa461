// Power cuts at random moments, with the real SQLite over a file system that forgets what was not synced. A
// kill -9 cannot tell synchronous=OFF from FULL, because the kernel keeps what was written; this can.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../testing/temporary_folder.h"
#include "forgetful_vfs.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry::faults {
namespace {

constexpr int kImages = 200;
// T3: so many with BELFRY_POWER_IMAGES; 2,000 by ./dev test all.
int images_of_full() {
  const char* wanted = std::getenv("BELFRY_POWER_IMAGES");
  return wanted == nullptr ? kImages : std::atoi(wanted);
}

struct Aftermath {
  int images = 0;
  int lost = 0;    // images in which something acknowledged was gone
  int broken = 0;  // images that did not open, or failed SQLite's own check, or held something wrong
};

std::unique_ptr<Store> open(const std::string& path, const std::string& vfs,
                            const std::string& synchronous) {
  auto store = open_sqlite_store({path, vfs, synchronous});
  return store ? std::move(store).value() : nullptr;
}

bool integrity_holds(const std::string& path) {
  sqlite3* database = nullptr;
  std::string answer;
  if (sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    const auto keep = [](void* to, int, char** values, char**) {
      *static_cast<std::string*>(to) += values[0];
      return 0;
    };
    sqlite3_exec(database, "PRAGMA integrity_check", keep, &answer, nullptr);
  }
  sqlite3_close(database);
  return answer == "ok";
}

// One life: opens, commits at random, is cut off at a random moment, and the image is opened by an ordinary
// server.
void live_once(std::uint64_t seed, const std::string& synchronous, Aftermath& sum) {
  std::mt19937_64 random(seed);
  belfry::testing::TemporaryFolder folder, after;
  const std::string path = folder.path("belfry.db");
  std::vector<Event> acknowledged;
  {
    auto store = open(path, forgetful_vfs(), synchronous);
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->open(Epoch{1}));
    for (std::uint64_t commits = 1 + random() % 60; commits > 0; --commits) {
      std::vector<Event> events(1 + random() % 40);
      for (auto& event : events) {
        event.topic = "t/" + std::to_string(random() % 20);
        event.data = std::string(random() % 3000, static_cast<char>('a' + random() % 26));
      }
      ASSERT_TRUE(store->commit({events}));
      acknowledged.insert(acknowledged.end(), events.begin(), events.end());
      if (random() % 10 == 0) CHECK(store->index_now());
      if (random() % 20 == 0) CHECK(store->trim(0, 10));
    }
    image(after.path(""), random);
  }
  ++sum.images;
  const std::string left = after.path("belfry.db");
  auto store = open(left, "", "FULL");
  const auto opened = store ? store->open(Epoch{2}) : Result<Opened>(fail(Code::store_failed));
  if (!opened) {
    ++sum.broken;
    return;
  }
  const auto rows = store->read_log(0, opened.value().head, 1'000'000).value();
  const std::size_t common = std::min(rows.size(), acknowledged.size());
  const bool same =
      std::equal(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(common), acknowledged.begin());
  sum.lost += rows.size() < acknowledged.size() ? 1 : 0;
  store.reset();
  sum.broken += same && integrity_holds(left) ? 0 : 1;
}

Aftermath live(const std::string& synchronous, int images = kImages) {
  Aftermath sum;
  for (std::uint64_t seed = 1; seed <= static_cast<std::uint64_t>(images); ++seed)
    live_once(seed, synchronous, sum);
  std::printf("synchronous=%s: %d images, %d with something acknowledged lost, %d broken\n",
              synchronous.c_str(), sum.images, sum.lost, sum.broken);
  return sum;
}

TEST(PowerLoss, FullKeepsEverythingAcknowledged) {
  const int images = images_of_full();
  const Aftermath sum = live("FULL", images);
  EXPECT_EQ(sum.images, images);
  EXPECT_EQ(sum.lost, 0);
  EXPECT_EQ(sum.broken, 0);
}

// The same test must see a store that does not flush; or it would see nothing at all.
TEST(PowerLoss, PlantedNormalIsCaught) { EXPECT_GT(live("NORMAL").lost, kImages / 4); }
TEST(PowerLoss, PlantedOffIsCaught) {
  const Aftermath sum = live("OFF");
  EXPECT_GT(sum.lost + sum.broken, kImages / 4);
}

std::vector<Event> some_events() {
  std::vector<Event> events(3);
  for (auto& event : events) event.topic = "a";
  return events;
}

TEST(FailingDisk, AFailedSyncEndsAllAcknowledgements) {
  for (int at = 1; at <= 5; ++at) {
    belfry::testing::TemporaryFolder folder;
    auto store = open(folder.path("belfry.db"), forgetful_vfs(), "FULL");
    ASSERT_TRUE(store->open(Epoch{1}));
    trouble().fail_sync_at = at;
    Code code = Code::internal;
    for (int i = 0; i < 10 && code != Code::store_failed; ++i) {
      auto events = some_events();
      const auto stored = store->commit({events});
      if (!stored) code = stored.error().code;
    }
    EXPECT_EQ(code, Code::store_failed);
    for (int i = 0; i < 3; ++i) {
      auto events = some_events();
      EXPECT_EQ(store->commit({events}).error().code, Code::store_failed) << "never tried again";
    }
  }
}

TEST(FailingDisk, AFullDiskStoresNothingAndRecovers) {
  for (int at = 1; at <= 20; ++at) {
    belfry::testing::TemporaryFolder folder;
    auto store = open(folder.path("belfry.db"), forgetful_vfs(), "FULL");
    ASSERT_TRUE(store->open(Epoch{1}));
    auto before = some_events();
    ASSERT_TRUE(store->commit({before}));
    trouble().full_write_at = at;
    std::size_t stored = before.size();
    bool refused = false;
    for (int i = 0; i < 30 && !refused; ++i) {
      auto events = some_events();
      const auto done = store->commit({events});
      if (done) {
        stored += events.size();
      } else {
        EXPECT_EQ(done.error().code, Code::store_full);
        refused = true;
      }
    }
    ASSERT_TRUE(refused);
    trouble().full_write_at = 0;
    auto after = some_events();
    ASSERT_TRUE(store->commit({after})) << "there is room again";
    EXPECT_EQ(after[0].offset, stored + 1);
    EXPECT_EQ(after[0].seq, stored + 1);
    EXPECT_EQ(store->read_log(0, 1000, 1000).value().size(), stored + after.size());
  }
}

// Whatever of it was written, and whatever of that reached the disk: none of it is seen after a power cut.
TEST(FailingDisk, ARefusedBatchIsNotThereAfterAPowerCut) {
  std::mt19937_64 random(7);
  for (int at = 1; at <= 40; ++at) {
    belfry::testing::TemporaryFolder folder, after;
    auto store = open(folder.path("belfry.db"), forgetful_vfs(), "FULL");
    ASSERT_TRUE(store->open(Epoch{1}));
    auto before = some_events();
    ASSERT_TRUE(store->commit({before}));
    trouble().full_write_at = at;
    std::size_t stored = before.size();
    for (bool refused = false; !refused;) {
      auto events = some_events();
      for (Event& event : events) event.data = std::string(20'000, 'x');
      const auto done = store->commit({events});
      if (done) stored += events.size();
      refused = !done;
    }
    image(after.path(""), random);
    auto left = open(after.path("belfry.db"), "", "FULL");
    ASSERT_TRUE(left);
    EXPECT_EQ(left->open(Epoch{2}).value().head, stored) << at;
    EXPECT_EQ(left->read_log(0, 1000, 1000).value().size(), stored) << at;
  }
}

TEST(FailingDisk, AnEpochThatDoesNotFitGoesIntoTheFirstCommitThatDoes) {
  belfry::testing::TemporaryFolder folder;
  const std::string path = folder.path("belfry.db");
  const std::string vfs = forgetful_vfs();
  auto store = open(path, vfs, "FULL");
  ASSERT_TRUE(store->open(Epoch{1}));
  auto first = some_events();
  ASSERT_TRUE(store->commit({first}));
  store = open(folder.path("other.db"), vfs, "FULL");  // closes it
  store = open(path, vfs, "FULL");
  std::filesystem::remove(path + ".reserve");
  trouble().full_write_at = 1;
  const auto opened = store->open(Epoch{2});
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened.value().epochs.back().epoch, Epoch{2});
  EXPECT_EQ(opened.value().epochs.back().first, 4u);
  EXPECT_EQ(store->read_log(0, 10, 10).value().size(), 3u);
  auto events = some_events();
  EXPECT_EQ(store->commit({events}).error().code, Code::store_full);
  trouble().full_write_at = 0;
  ASSERT_TRUE(store->commit({events}));
  EXPECT_EQ(events[0].cursor(), (Cursor{Epoch{2}, 4}));
  store.reset();
  store = open(path, vfs, "FULL");
  const auto again = store->open(Epoch{3});
  ASSERT_TRUE(again);
  EXPECT_FALSE(EpochTable(again.value().epochs).place(events[0].cursor(), again.value().head).reset);
  EXPECT_EQ(again.value().epochs.size(), 3u);
}

// The wal-index is written to after the last frame of the commit: a refusal there would be a lie. (The room
// that the store makes before is there; this is a disk that breaks its word.)
TEST(FailingDisk, AWalIndexThatCannotGrowAtTheCommitIsNoRefusal) {
  belfry::testing::TemporaryFolder folder;
  auto store = open(folder.path("belfry.db"), forgetful_vfs(), "FULL");
  ASSERT_TRUE(store->open(Epoch{1}));
  trouble().full_index_at = 1;  // from frame 4063 on
  std::vector<Event> events(320);
  for (Event& event : events) {
    event.topic = "a";
    event.data = std::string(60'000, 'x');
  }
  EXPECT_EQ(store->commit({events}).error().code, Code::store_failed);
  EXPECT_EQ(store->commit({events}).error().code, Code::store_failed) << "never tried again";
}

TEST(FailingDisk, AWalIndexThatCannotBeMadeAtTheStartIsAFullDisk) {
  belfry::testing::TemporaryFolder folder;
  const std::string path = folder.path("belfry.db"), vfs = forgetful_vfs();
  for (int i = 0; i < 2; ++i) {
    auto store = open(path, vfs, "FULL");
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->open(Epoch{static_cast<std::uint64_t>(i + 1)}));
    store.reset();
    trouble().full_index_at = 0;
    const auto refused = open_sqlite_store({path, vfs, "FULL"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::store_full);
    EXPECT_TRUE(std::filesystem::exists(path));
    trouble().full_index_at = -1;
  }
}

TEST(FailingDisk, AFirstStartOnAFullDiskLeavesNothing) {
  for (int at = 1; at <= 12; ++at) {
    belfry::testing::TemporaryFolder folder;
    const std::string vfs = forgetful_vfs();
    trouble().full_write_at = at;
    const auto store = open_sqlite_store({folder.path("belfry.db"), vfs, "FULL"});
    ASSERT_FALSE(store) << at;
    EXPECT_EQ(store.error().code, Code::store_full);
    for (const char* part : {"", "-wal", "-shm", "-journal"})
      EXPECT_FALSE(std::filesystem::exists(folder.path("belfry.db") + part)) << part;
    trouble().full_write_at = 0;
    auto later = open(folder.path("belfry.db"), forgetful_vfs(), "FULL");
    ASSERT_TRUE(later);
    EXPECT_TRUE(later->open(Epoch{1}));
  }
}

}  // namespace
}  // namespace belfry::faults
