#include "server/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "../../tests/testing/temporary_folder.h"

namespace belfry {
namespace {

struct ConfigTest : ::testing::Test {
  testing::TemporaryFolder folder;

  LoadedConfig load(const std::string& text,
                    std::vector<std::pair<std::string, std::string>> environment = {},
                    std::vector<std::pair<std::string, std::string>> flags = {}) {
    const std::string path = folder.path("belfry.toml");
    std::ofstream(path) << text;
    return load_config({path, std::move(environment), std::move(flags)});
  }
  std::string only_problem(const std::string& text) {
    const auto loaded = load(text);
    EXPECT_EQ(loaded.problems.size(), 1u) << text;
    if (loaded.problems.empty()) return {};
    const auto& where = loaded.problems[0].where;
    return where.substr(where.rfind('/') + 1) + " " + loaded.problems[0].text;
  }
};

TEST_F(ConfigTest, LaterSourcesWinAndAreRemembered) {
  const auto loaded =
      load("[http]\nlisten = \"127.0.0.1:1\"\n[log]\nephemeral = [\"a/#\", \"b\"]\n",
           {{"BELFRY_HTTP__LISTEN", "127.0.0.1:2"}, {"HOME", "x"}, {"BELFRY_SERVER__SHARDS", "3"}},
           {{"http.listen", "127.0.0.1:3"}});
  ASSERT_TRUE(loaded.problems.empty()) << loaded.problems[0].text;
  EXPECT_EQ(loaded.config.http_listen, "127.0.0.1:3");
  EXPECT_EQ(loaded.config.origins.at("http.listen"), "--listen");
  EXPECT_EQ(loaded.config.server_shards, 3u);
  EXPECT_EQ(loaded.config.origins.at("server.shards"), "BELFRY_SERVER__SHARDS");
  EXPECT_EQ(loaded.config.log_ephemeral, (std::vector<std::string>{"a/#", "b"}));
  EXPECT_TRUE(loaded.config.origins.at("log.ephemeral").ends_with("belfry.toml:4"));
  EXPECT_EQ(loaded.config.origins.at("store.path"), "default");
}

TEST_F(ConfigTest, ProblemsNameThePlaceAndTheCure) {
  EXPECT_EQ(only_problem("[http]\nlisten_on = 1\n"),
            "belfry.toml:2:1 There is no setting http.listen_on. Did you mean \"http.listen\"?");
  EXPECT_EQ(only_problem("[htpp]\nlisten = \"x\"\n"),
            "belfry.toml:1:2 There is no table [htpp]. Did you mean \"http\"?");
  EXPECT_EQ(only_problem("[http]\nlisten = 7\n"), "belfry.toml:2:1 http.listen must be a string.");
  EXPECT_EQ(only_problem("[server]\nshards = 1000\n"),
            "belfry.toml:2 server.shards must lie between 0 and 256.");
  EXPECT_EQ(only_problem("[log]\nephemeral = \"a\"\n"),
            "belfry.toml:2:1 log.ephemeral must be a list of strings.");
  EXPECT_NE(only_problem("[log]\nephemeral = [\"a/\"]\n").find("A segment is empty."), std::string::npos);
  EXPECT_NE(only_problem("[http]\nlisten = \"8080\"\n").find("needs a port"), std::string::npos);
  EXPECT_NE(only_problem("[http\n").find("belfry.toml:1"), std::string::npos);
  EXPECT_NE(only_problem("[server]\nlog_level = \"loud\"\n").find("debug, info"), std::string::npos);
  EXPECT_EQ(load("", {{"BELFRY_HTTP__LISTN", "x"}}).problems.at(0).text,
            "There is no such variable. Did you mean \"BELFRY_HTTP__LISTEN\"?");
  EXPECT_EQ(load("[http]\na = 1\nb = 2\n").problems.size(), 2u) << "all problems at once";
  EXPECT_EQ(load_config({folder.path("missing.toml"), {}, {}}).problems.size(), 1u);
}

TEST(Config, EveryFieldIsExplained) {
  const Config config;
  for (const auto& field : config_fields()) {
    EXPECT_FALSE(field.explanation.empty());
    EXPECT_FALSE(config_value(config, field).empty());
  }
}

TEST(Config, ListenAddresses) {
  EXPECT_TRUE(parse_listen("127.0.0.1:0").value().loopback);
  EXPECT_EQ(parse_listen("[::1]:80").value().host, "::1");
  EXPECT_FALSE(parse_listen("0.0.0.0:80").value().loopback);
  for (const char* bad : {"", "80", "127.0.0.1:", "127.0.0.1:x", ":80", "127.0.0.1:70000"})
    EXPECT_FALSE(parse_listen(bad)) << bad;
}

TEST(RetentionRule, IsAPatternAndWhatIsKept) {
  const auto both = parse_retention_rule("users/# 30d 10000");
  ASSERT_TRUE(both);
  EXPECT_EQ(both.value().pattern, "users/#");
  EXPECT_EQ(both.value().age, Duration(std::chrono::hours(24 * 30)));
  EXPECT_EQ(both.value().events, 10'000u);
  EXPECT_EQ(parse_retention_rule("chat/+ 12h").value().age, Duration(std::chrono::hours(12)));
  EXPECT_FALSE(parse_retention_rule("chat/+ 12h").value().events);
  for (const char* bad : {"", "users/#", "users/# 3x", "users/# 0", "a//b 3d", "users/# d", "users/# 3dd"})
    EXPECT_FALSE(parse_retention_rule(bad)) << bad;
}

}  // namespace
}  // namespace belfry
