#include "server/keys.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include "../../tests/testing/temporary_folder.h"
#include "net/net.h"

namespace belfry {
namespace {

constexpr std::string_view kIssuer = "https://id.example";

std::string set_of(std::string_view kid, const std::string& secret) {
  return R"({"keys":[{"kty":"oct","alg":"HS256","kid":")" + std::string(kid) + R"(","k":")" +
         to_base64url(secret) + R"("}]})";
}

// An issuer that publishes its key set over HTTP, and can be made to fail.
class IssuerServer final : public net::Handler {
 public:
  IssuerServer() {
    server_ = std::move(net::HttpServer::listen(loop_, clock_, {"127.0.0.1", 0, &budget_}, *this)).value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~IssuerServer() override {
    loop_.stop();
    thread_.join();
  }
  void on_request(net::Exchange& exchange) override {
    const std::lock_guard lock(mutex_);
    if (meanwhile_) meanwhile_();
    ++asked;
    exchange.respond({text_.empty() ? 500 : 200, {{"Content-Type", "application/json"}}, text_});
  }
  void set(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  // What happens while somebody waits for an answer.
  void set_meanwhile(std::function<void()> meanwhile) {
    const std::lock_guard lock(mutex_);
    meanwhile_ = std::move(meanwhile);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()) + "/keys"; }

  std::atomic<int> asked{0};

 private:
  SystemClock clock_;
  net::Loop loop_;
  net::ConnectionBudget budget_{100, 100};
  std::unique_ptr<net::HttpServer> server_;
  std::mutex mutex_;
  std::string text_;
  std::function<void()> meanwhile_;
  std::thread thread_;
};

struct KeyFetcherTest : ::testing::Test {
  ManualClock clock;
  IssuerServer issuer;
  Keyring keyring;

  std::unique_ptr<KeyFetcher> fetcher() {
    keyring.set_issuer_keys(std::string(kIssuer), {});
    auto made = std::make_unique<KeyFetcher>(
        keyring, std::vector<Issuer>{{std::string(kIssuer), issuer.url()}}, clock);
    keyring.on_unknown_key = [raw = made.get()](const std::string& name) { raw->want(name); };
    return made;
  }
  bool accepts(std::string_view kid, const std::string& secret) {
    const std::string head = to_base64url(R"({"alg":"HS256","kid":")" + std::string(kid) + R"("})");
    const std::string body = to_base64url(R"({"sub":"ana","iss":"https://id.example","exp":1890000000})");
    return static_cast<bool>(keyring.authenticate(
        head + "." + body + "." + to_base64url(hmac_sha256(secret, head + "." + body)), clock.wall()));
  }
  template <class Condition>
  bool becomes(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(Duration{5});  // another thread is to do it
    }
    return false;
  }
};

TEST_F(KeyFetcherTest, ARotatedKeyIsFetchedOnceAndTheOldOneGoes) {
  const std::string one(32, '1'), two(32, '2');
  issuer.set(set_of("one", one));
  const auto running = fetcher();
  ASSERT_TRUE(becomes([&] { return accepts("one", one); }));
  issuer.set(set_of("two", two));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(accepts("two", two));
  EXPECT_EQ(issuer.asked, 1) << "not again within the pause";
  clock.advance(limits::jwks_pause);
  EXPECT_TRUE(becomes([&] { return accepts("two", two); }));
  EXPECT_FALSE(accepts("one", one));
  EXPECT_EQ(issuer.asked, 2);
}

TEST_F(KeyFetcherTest, AnIssuerThatFailsKeepsItsKeysForADay) {
  const std::string one(32, '1');
  issuer.set(set_of("one", one));
  const auto running = fetcher();
  ASSERT_TRUE(becomes([&] { return accepts("one", one); }));
  issuer.set({});
  clock.advance(limits::jwks_refresh);
  ASSERT_TRUE(becomes([&] { return issuer.asked == 2; }));
  EXPECT_TRUE(accepts("one", one));
  clock.advance(limits::jwks_stale_max);
  EXPECT_TRUE(becomes([&] { return !accepts("one", one); }));
}

TEST_F(KeyFetcherTest, AnAnswerOfOneThatIsConfiguredNoMoreBringsNothingBack) {
  const std::string one(32, '1'), name(kIssuer);
  issuer.set(set_of("one", one));
  // Not at all, or at another place.
  for (const auto& configured : {std::vector<Issuer>{}, std::vector<Issuer>{{name, "http://"}}}) {
    auto running = std::make_unique<KeyFetcher>(keyring, std::vector<Issuer>{}, clock);
    issuer.set_meanwhile([&] {
      running->set_issuers(configured);
      Keyring fresh;
      for (const Issuer& each : configured) fresh.await_issuer(each.name);
      keyring.take_configured(std::move(fresh));
    });
    const int before = issuer.asked;
    keyring.await_issuer(name);
    running->set_issuers({{name, issuer.url()}});
    ASSERT_TRUE(becomes([&] { return issuer.asked > before; }));
    running.reset();  // what it has begun is done
    EXPECT_FALSE(accepts("one", one)) << configured.size();
  }
}

TEST_F(KeyFetcherTest, OneThatMovedToWhereNobodyAnswersKeepsItsKeysForADay) {
  const std::string one(32, '1');
  issuer.set(set_of("one", one));
  const auto running = fetcher();
  ASSERT_TRUE(becomes([&] { return accepts("one", one); }));
  issuer.set({});
  running->set_issuers({{std::string(kIssuer), issuer.url() + "/moved"}});
  ASSERT_TRUE(becomes([&] { return issuer.asked == 2; }));
  EXPECT_TRUE(accepts("one", one));
  clock.advance(limits::jwks_stale_max);
  EXPECT_TRUE(becomes([&] { return !accepts("one", one); }));
}

TEST(KeyFile, KeysComeAndGo) {
  testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("data"));
  KeyFile file(folder.path("data"));
  Keyring keyring;
  EXPECT_FALSE(file.reload(keyring));
  const auto key = file.create("a phone");
  ASSERT_TRUE(key);
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_TRUE(keyring.authenticate(key.value(), Timestamp{}));
  std::ifstream stream(folder.path("data") + "/backend_keys");
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(text.find(key.value().substr(12)), std::string::npos) << "only its hash is kept";
  EXPECT_FALSE(file.revoke("nobody", KeyFile::Scheduling::dropped, Timestamp{}).value());
  const std::string id(backend_key_id(key.value()));
  EXPECT_TRUE(file.revoke(id, KeyFile::Scheduling::dropped, Timestamp{}).value());
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_FALSE(keyring.authenticate(key.value(), Timestamp{}));
}

TEST(KeyFile, WhatARevokedKeyScheduledIsToldFromWhatAnUnknownOneDid) {
  using Scheduling = KeyFile::Scheduling;
  testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("data"));
  KeyFile file(folder.path("data"));
  Keyring keyring;
  const std::string one = file.create("one").value(), two = file.create("two").value();
  const auto stands = [&](const std::string& id) {
    Scheduled scheduled;
    scheduled.principal = "backend:" + id;
    return keyring.stands(scheduled);
  };
  const std::string kept(backend_key_id(one)), dropped(backend_key_id(two));
  const Timestamp now{std::chrono::hours(24 * 10'000)};
  EXPECT_TRUE(file.revoke(kept, Scheduling::kept, now).value());
  EXPECT_TRUE(file.revoke(dropped, Scheduling::dropped, now).value());
  EXPECT_FALSE(file.revoke("configured", Scheduling::dropped, now).value());
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_FALSE(keyring.authenticate(one, Timestamp{}));
  EXPECT_FALSE(keyring.authenticate(two, Timestamp{}));
  EXPECT_TRUE(stands(kept));
  EXPECT_FALSE(stands(dropped));
  EXPECT_TRUE(stands("configured")) << "nobody revoked it";
  EXPECT_TRUE(file.revoke("configured", Scheduling::dropped_of_any, now).value());
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_FALSE(stands("configured"));
  EXPECT_FALSE(stands(dropped));
}

// A clock that is wrong makes none of them old.
TEST(KeyFile, WhatIsRevokedStaysSoWhateverTheClockSays) {
  using Scheduling = KeyFile::Scheduling;
  testing::TemporaryFolder folder;
  KeyFile file(folder.path(""));
  Keyring keyring;
  const auto stands = [&](const std::string& id) {
    Scheduled scheduled;
    scheduled.principal = "backend:" + id;
    return keyring.stands(scheduled);
  };
  const Timestamp now{std::chrono::hours(24 * 10'000)};
  EXPECT_TRUE(file.revoke("one", Scheduling::dropped_of_any, now).value());
  EXPECT_TRUE(file.revoke("two", Scheduling::dropped_of_any, {}).value());
  EXPECT_TRUE(file.revoke("three", Scheduling::dropped_of_any, now + now.value).value());
  EXPECT_TRUE(file.reload(keyring));
  for (const char* id : {"one", "two", "three"}) EXPECT_FALSE(stands(id)) << id;
}

TEST(KeyFile, OfVeryManyThatWereRevokedTheOldestGo) {
  testing::TemporaryFolder folder;
  KeyFile file(folder.path(""));
  const std::string key = file.create("a phone").value();
  {
    std::ofstream lines(folder.path("backend_keys"), std::ios::app);
    for (std::size_t i = 0; i < limits::revoked_keys_max; ++i) lines << "key" << i << " revoked 9\n";
  }
  EXPECT_TRUE(file.revoke("new", KeyFile::Scheduling::dropped_of_any, {}).value());
  std::ifstream stream(folder.path("backend_keys"));
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(text.find("key0 "), std::string::npos);
  EXPECT_NE(text.find("key1 revoked"), std::string::npos);
  EXPECT_NE(text.find("new revoked"), std::string::npos);
  Keyring keyring;
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_TRUE(keyring.authenticate(key, Timestamp{})) << "keys stay";
}

TEST(KeyFile, TwoThatMakeKeysAtOnceLoseNone) {
  testing::TemporaryFolder folder;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::string> made;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 25; ++n) {
        const auto key = KeyFile(folder.path("")).create("of a thread");
        const std::lock_guard lock(mutex);
        if (key) made.push_back(key.value());
      }
    });
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(made.size(), 100u);
  KeyFile file(folder.path(""));
  Keyring keyring;
  ASSERT_TRUE(file.reload(keyring));
  for (const std::string& key : made) EXPECT_TRUE(keyring.authenticate(key, Timestamp{}));
}

TEST(KeyFile, OneThatCannotBeReadLosesNoKey) {
  testing::TemporaryFolder folder;
  KeyFile file(folder.path(""));
  Keyring keyring;
  const std::string key = file.create("a phone").value();
  ASSERT_TRUE(file.reload(keyring));
  const std::string path = folder.path("backend_keys");
  std::filesystem::rename(path, path + ".away");
  std::filesystem::create_directory(path);  // can be opened, and not read
  EXPECT_FALSE(file.create("another"));
  EXPECT_FALSE(file.reload(keyring));
  EXPECT_TRUE(keyring.authenticate(key, Timestamp{}));
  std::filesystem::remove(path);
  std::filesystem::rename(path + ".away", path);
  EXPECT_TRUE(file.reload(keyring));
  EXPECT_TRUE(keyring.authenticate(key, Timestamp{}));
}

}  // namespace
}  // namespace belfry
