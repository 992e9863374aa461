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
// T3: so many with BELFRY_POWER_IMAGES; 2,000 in CI, more by hand.
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

}  // namespace
}  // namespace belfry::faults
