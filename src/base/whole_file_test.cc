#include "base/whole_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "../../tests/testing/temporary_folder.h"
#include "base/base.h"

namespace belfry {
namespace {

struct WholeFile : ::testing::Test {
  testing::TemporaryFolder folder;

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path("")))
      out.push_back(entry.path().filename().string());
    return out;
  }
  std::string text(const std::string& name) const {
    std::ifstream file(folder.path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(WholeFile, IsForItsOwnerOnlyFromTheFirstByteWhateverTheUmask) {
  const mode_t before = ::umask(0);
  {
    const auto made = FileInMaking::beside(folder.path("secret"));
    struct stat now{};
    ASSERT_EQ(::stat(made.value()->path().c_str(), &now), 0);
    EXPECT_EQ(now.st_mode & 0777u, 0600u);
  }
  EXPECT_TRUE(write_new_file(folder.path("secret"), "x"));
  ::umask(before);
  struct stat now{};
  ASSERT_EQ(::stat(folder.path("secret").c_str(), &now), 0);
  EXPECT_EQ(now.st_mode & 0777u, 0600u);
  EXPECT_EQ(names(), std::vector<std::string>{"secret"});
}

// Only root can show it: whoever else runs this owns everything here.
TEST_F(WholeFile, BelongsToWhoOwnsItsPlaceWhoeverMakesIt) {
  const auto owner = [this](const std::string& name) {
    struct stat now{};
    EXPECT_EQ(::lstat(folder.path(name).c_str(), &now), 0);
    return std::pair(now.st_uid, now.st_gid);
  };
  const auto give = [&](const std::string& name, uid_t user, gid_t group) {
    return ::chown(folder.path(name).c_str(), user, group) == 0 ? std::pair(user, group) : owner(name);
  };
  const auto server = give("", 65'531, 65'532);
  ASSERT_TRUE(replace_file(folder.path("a"), "new"));
  EXPECT_EQ(owner("a"), server) << "its folder's";
  const auto other = give("a", 65'533, 65'534);
  {
    const auto made = FileInMaking::beside(folder.path("a"));
    ASSERT_TRUE(made);
    const std::string name = std::filesystem::path(made.value()->path()).filename().string();
    EXPECT_EQ(owner(name), other) << "before the first byte";
  }
  ASSERT_TRUE(replace_file(folder.path("a"), "replaced"));
  EXPECT_EQ(owner("a"), other) << "that of the one it replaces";
  const auto mine = FileInMaking::beside(folder.path("b"), FileInMaking::Owner::caller);
  ASSERT_TRUE(mine.value()->take_free_place());
  EXPECT_EQ(owner("b").first, ::geteuid());
}

TEST_F(WholeFile, ANewOneOverwritesNothing) {
  ASSERT_TRUE(write_new_file(folder.path("a"), "first"));
  const auto second = write_new_file(folder.path("a"), "second");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().detail.find("exists already"), std::string::npos) << second.error().detail;
  EXPECT_EQ(text("a"), "first");
  ASSERT_TRUE(replace_file(folder.path("a"), "third"));
  EXPECT_EQ(text("a"), "third");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

// The bound on a file's size stands for a full disk: a part of the text can be written, the rest cannot.
TEST_F(WholeFile, WhatCannotBeWrittenToItsEndLeavesNothingBehind) {
  ASSERT_TRUE(replace_file(folder.path("a"), "as it was"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{}, small{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  small = {100, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const bool replaced = static_cast<bool>(replace_file(folder.path("a"), std::string(200, 'x')));
  const bool made = static_cast<bool>(write_new_file(folder.path("b"), std::string(200, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_FALSE(replaced);
  EXPECT_FALSE(made);
  EXPECT_EQ(text("a"), "as it was");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(WholeFile, AFullDiskIsSaidToBeOne) {
  errno = ENOSPC;
  const Error full = file_error("Cannot write", "/data/x");
  EXPECT_EQ(full.code, Code::store_full);
  EXPECT_NE(full.detail.find("/data/x: No space left"), std::string::npos);
  errno = EACCES;
  EXPECT_EQ(file_error("Cannot write", "/data/x").code, Code::config_invalid);
}

TEST_F(WholeFile, WhatAKilledProcessLeftGoesAndWhatIsAliveStays) {
  std::ofstream(folder.path("a.0123456789abcdef.part")) << "half";
  std::ofstream(folder.path("a.0123456789abcdef.part-journal")) << "half";
  std::ofstream(folder.path("a.b.part")) << "not ours";
  const auto alive = FileInMaking::beside(folder.path("a"));
  ASSERT_TRUE(alive);
  ASSERT_TRUE(alive.value()->write("mine"));
  ASSERT_TRUE(write_new_file(folder.path("a"), "first"));
  EXPECT_EQ(text("a"), "first");
  EXPECT_TRUE(std::filesystem::exists(alive.value()->path()));
  EXPECT_FALSE(alive.value()->take_free_place());
  EXPECT_EQ(text("a"), "first");
  EXPECT_FALSE(std::filesystem::exists(folder.path("a.0123456789abcdef.part")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("a.0123456789abcdef.part-journal")));
  EXPECT_TRUE(std::filesystem::exists(folder.path("a.b.part")));
}

TEST_F(WholeFile, ManyAtOnceAreOneOfThemWhole) {
  std::vector<std::thread> threads;
  for (char letter = 'a'; letter < 'i'; ++letter)
    threads.emplace_back([this, letter] {
      for (int i = 0; i < 30; ++i) EXPECT_TRUE(replace_file(folder.path("x"), std::string(5000, letter)));
    });
  for (auto& thread : threads) thread.join();
  const std::string left = text("x");
  EXPECT_EQ(left, std::string(5000, left.at(0)));
  EXPECT_EQ(names(), std::vector<std::string>{"x"});
}

}  // namespace
}  // namespace belfry
