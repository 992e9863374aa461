#include "server/data_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "../../tests/testing/temporary_folder.h"
#include "server/data_files.h"

namespace belfry {
namespace {

std::string text_of(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

unsigned mode_of(const std::string& file) {
  struct stat now{};
  return ::stat(file.c_str(), &now) == 0 ? now.st_mode & 0777u : 0;
}

TEST(DataDir, ASecretOfOurOwnThatIsEmptyIsMadeAnew) {
  testing::TemporaryFolder folder;
  for (const char* name : {"jwt_secret", "backend_key", "ticket_secret"}) std::ofstream(folder.path(name));
  const auto secrets = dev_secrets(folder.path(""));
  ASSERT_TRUE(secrets) << secrets.error().text();
  ASSERT_TRUE(read_or_make_secret(folder.path("ticket_secret")));
  for (const char* name : {"jwt_secret", "backend_key", "ticket_secret"}) {
    EXPECT_GT(text_of(folder.path(name)).size(), 32u) << name;
    EXPECT_EQ(mode_of(folder.path(name)), 0600u) << name;
  }
  EXPECT_EQ(dev_secrets(folder.path("")).value().jwt_secret, secrets.value().jwt_secret);
}

TEST(DataDir, AConfiguredSecretThatIsEmptyIsAnError) {
  testing::TemporaryFolder folder;
  std::ofstream(folder.path("secret"));
  EXPECT_FALSE(read_secret(folder.path("secret")));
  EXPECT_EQ(text_of(folder.path("secret")), "");
}

TEST(DataDir, APairThatIsNotWholeIsMadeAnew) {
  testing::TemporaryFolder folder;
  const std::string open = folder.path("open"), secret = folder.path("secret");
  const auto first = []() -> Result<PairOfTexts> { return PairOfTexts{"open 1", "secret 1"}; };
  const auto second = []() -> Result<PairOfTexts> { return PairOfTexts{"open 2", "secret 2"}; };
  ASSERT_TRUE(make_pair_of_files(open, secret, first));
  ASSERT_TRUE(make_pair_of_files(open, secret, second));
  EXPECT_EQ(text_of(open) + text_of(secret), "open 1secret 1");
  EXPECT_EQ(mode_of(secret), 0600u);
  std::filesystem::remove(secret);
  ASSERT_TRUE(make_pair_of_files(open, secret, second));
  EXPECT_EQ(text_of(open) + text_of(secret), "open 2secret 2");
  std::ofstream{open};
  ASSERT_TRUE(make_pair_of_files(open, secret, first));
  EXPECT_EQ(text_of(open) + text_of(secret), "open 1secret 1");
}

struct DataFiles : ::testing::Test {
  testing::TemporaryFolder folder;
  std::string data = folder.path("data");

  std::unique_ptr<Store> open() {
    CHECK(make_data_dir(data));
    auto store = open_sqlite_store({database_path(data), "", "FULL"});
    CHECK(store);
    CHECK(store.value()->open(Epoch{1}));
    return std::move(store).value();
  }
  static void publish(Store& store, const std::string& text) {
    std::vector<Event> events(1);
    events[0].topic = "a";
    events[0].data = text;
    CHECK(store.commit({events}));
  }
  std::vector<std::string> names(const std::string& of) const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(of))
      out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(DataFiles, ABackupIsWholeForItsOwnerOnlyAndOverwritesNothing) {
  const auto store = open();
  publish(*store, "one");
  const std::string to = folder.path("out/backup.db");
  EXPECT_FALSE(backup_data(data, to)) << "there is no such folder";
  std::filesystem::create_directory(folder.path("out"));
  std::ofstream(to + ".0123456789abcdef.part") << "of a backup that was killed";
  const auto done = backup_data(data, to);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(mode_of(to), 0600u);
  EXPECT_EQ(names(folder.path("out")), std::vector<std::string>{"backup.db"});
  publish(*store, "two");
  EXPECT_FALSE(backup_data(data, to));
  EXPECT_EQ(names(folder.path("out")), std::vector<std::string>{"backup.db"});
  DatabaseSummary summary;
  EXPECT_TRUE(check_database(to, summary).value().empty());
  EXPECT_EQ(summary.events, 1u);
}

// A name that is taken only at the end is not overwritten either.
TEST_F(DataFiles, TwoBackupsOfOneNameDoNotMix) {
  const auto store = open();
  publish(*store, "one");
  const std::string to = folder.path("backup.db");
  const auto slow = copy_database(database_path(data), to, FileInMaking::Owner::caller);
  ASSERT_TRUE(slow);
  publish(*store, "two");
  ASSERT_TRUE(backup_data(data, to));
  EXPECT_FALSE(slow.value()->take_free_place());
  DatabaseSummary summary;
  EXPECT_TRUE(check_database(to, summary).value().empty());
  EXPECT_EQ(summary.events, 2u);
}

// As a killed server leaves it: with a WAL. What is kept is whole in one file, and there was never none.
TEST_F(DataFiles, ARestoreKeepsWhatWasThereInOneFile) {
  const std::string copy = folder.path("backup.db"), other = folder.path("other");
  {
    const auto store = open();
    publish(*store, "one");
    ASSERT_TRUE(backup_data(data, copy));
    publish(*store, "two");
    std::filesystem::create_directory(other);
    for (const char* part : {"", "-wal"})
      std::filesystem::copy_file(database_path(data) + part, database_path(other) + part);
  }
  const auto kept = restore_data(copy, other);
  ASSERT_TRUE(kept) << kept.error().text();
  EXPECT_EQ(names(other), (std::vector<std::string>{"belfry.db", "belfry.db.before-1"}));
  EXPECT_EQ(mode_of(database_path(other)), 0600u);
  DatabaseSummary summary;
  EXPECT_TRUE(check_database(kept.value(), summary).value().empty());
  EXPECT_EQ(summary.events, 2u);
  EXPECT_TRUE(check_data(other, summary).value().empty());
  EXPECT_EQ(summary.events, 1u);
}

// Root restores for the server's user; a backup is for who makes it. Without root all is one user's.
TEST_F(DataFiles, ARestoredOneBelongsToTheServer) {
  const auto owner = [](const std::string& file) {
    struct stat now{};
    EXPECT_EQ(::stat(file.c_str(), &now), 0);
    return now.st_uid;
  };
  const std::string copy = data + "/backup", path = database_path(data);
  publish(*open(), "one");
  constexpr uid_t kServer = 65'531;
  const uid_t server = ::chown(data.c_str(), kServer, kServer) == 0 ? kServer : owner(data);
  ASSERT_EQ(::chown(path.c_str(), server, static_cast<gid_t>(-1)), 0);
  ASSERT_TRUE(backup_data(data, copy));
  EXPECT_EQ(owner(copy), ::geteuid());
  ASSERT_TRUE(restore_data(copy, data));
  EXPECT_EQ(owner(path), server) << "as the one before";
  std::filesystem::remove(path);
  ASSERT_TRUE(restore_data(copy, data));
  EXPECT_EQ(owner(path), server) << "as the folder";
}

// Whoever was revoked after the backup was made stays out.
TEST_F(DataFiles, ARestoreTakesNoRevocationBack) {
  const std::string copy = folder.path("backup.db");
  const auto revoke = [this](const std::string& user, long time) {
    const std::vector<Change> changes{
        PutRevocation{{user, {}, {Duration{time}}, {Duration{time + 1000}}}}};
    ASSERT_TRUE(open()->commit({{}, {}, changes}));
  };
  revoke("ana", 100);
  ASSERT_TRUE(backup_data(data, copy));
  revoke("ana", 200);
  revoke("bob", 300);
  ASSERT_TRUE(restore_data(copy, data));
  const auto rows = open()->revocations().value();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].not_before, Timestamp{Duration{200}});
  EXPECT_EQ(rows[1].not_before, Timestamp{Duration{300}});
}

TEST_F(DataFiles, ARestoreThatFailsLeavesEverythingAsItWas) {
  publish(*open(), "one");
  const std::string copy = folder.path("backup.db");
  ASSERT_TRUE(backup_data(data, copy));
  publish(*open(), "two");
  const auto before = names(data);
  EXPECT_FALSE(restore_data(folder.path("nothing.db"), data));
  std::ofstream(folder.path("broken.db")) << "not a database, and long enough to be taken for one";
  EXPECT_FALSE(restore_data(folder.path("broken.db"), data));
  EXPECT_EQ(names(data), before);
  {
    // One part of what is there can be moved, and the next cannot: a folder is in its way.
    std::filesystem::rename(database_path(data), database_path(data) + ".away");
    std::ofstream(database_path(data)) << "broken, and cannot be folded, so that it has to be moved";
    std::ofstream(database_path(data) + "-shm") << "index";
    std::ofstream(database_path(data) + "-wal") << "log";
    std::filesystem::create_directories(database_path(data) + ".before-1-wal/full");
    const auto there = names(data);
    EXPECT_FALSE(restore_data(copy, data));
    EXPECT_EQ(names(data), there);
    EXPECT_EQ(text_of(database_path(data) + "-shm"), "index");
    std::filesystem::remove_all(database_path(data) + ".before-1-wal");
  }
  const auto kept = restore_data(copy, data);
  ASSERT_TRUE(kept) << kept.error().text();
  EXPECT_EQ(text_of(kept.value() + "-wal"), "log");
  DatabaseSummary summary;
  EXPECT_TRUE(check_data(data, summary).value().empty());
  EXPECT_EQ(summary.events, 1u);
}

}  // namespace
}  // namespace belfry
