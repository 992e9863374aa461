#include "base/base.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "base/hmac.h"
#include "base/tcp.h"

namespace belfry {
namespace {

TEST(ErrorCatalogue, EqualsTheProtocolFile) {
  std::ifstream file(BELFRY_SOURCE_DIR "/protocol/errors.json");
  ASSERT_TRUE(file) << "protocol/errors.json is missing";
  std::stringstream text;
  text << file.rdbuf();
  const auto rows = boost::json::parse(text.str()).at("codes").as_array();
  ASSERT_EQ(rows.size(), all_codes().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i].as_object();
    const CodeInfo& code = all_codes()[i];
    EXPECT_EQ(row.at("code").as_string(), code.name);
    EXPECT_EQ(row.at("http").as_int64(), code.http) << code.name;
    EXPECT_EQ(row.at("close").as_int64(), code.close) << code.name;
    EXPECT_EQ(row.at("retry").as_string(), name_of(code.retry)) << code.name;
    EXPECT_EQ(row.at("message").as_string(), code.message) << code.name;
    EXPECT_EQ(row.at("hint").as_string(), code.hint) << code.name;
  }
}

// Nobody accepts, and the queue is full: the kernel swallows what else knocks.
TEST(ConnectTcp, WaitsNoLongerThanItIsTold) {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  int asked = 0, most_ms = 10'000;
  const auto writable = [&](int socket) {
    ++asked;
    pollfd waiting{socket, POLLOUT, 0};
    return ::poll(&waiting, 1, most_ms) > 0;
  };
  std::vector<Descriptor> open;
  Result<Descriptor> last = connect_tcp("127.0.0.1", port, writable);
  ASSERT_TRUE(last) << last.error().text();
  EXPECT_EQ(peer_address(last.value()), "127.0.0.1");
  most_ms = 0;
  for (int i = 0; i < 100 && last; ++i) {
    open.push_back(std::move(last).value());
    last = connect_tcp("127.0.0.1", port, writable);
  }
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, Code::connection_failed);
  EXPECT_EQ(last.error().detail, "127.0.0.1:" + port + ": Connection timed out");
  EXPECT_GE(asked, 1);
}

TEST(ConnectTcp, SaysWhyNobodyAnswers) {
  const auto waits = [](int) { return true; };
  EXPECT_EQ(connect_tcp("127.0.0.1", "1", waits).error().detail, "127.0.0.1:1: Connection refused");
  EXPECT_EQ(connect_tcp("127.0.0.1", "no port", waits).error().code, Code::connection_failed);
  EXPECT_EQ(peer_address(Descriptor()), "");
}

TEST(Rfc3339, RoundTripsAndRefusesTheMalformed) {
  for (const std::int64_t ms : {0L, 1L, 951'782'400'123L, 1'790'000'000'000L, 4'102'444'799'999L}) {
    const Timestamp time{Duration{ms}};
    EXPECT_EQ(parse_rfc3339(format_rfc3339(time)), time);
  }
  EXPECT_EQ(format_rfc3339(Timestamp{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(parse_rfc3339("1970-01-01T01:00:00+01:00"), Timestamp{});
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.5Z"), Timestamp{Duration{500}});
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.123456789Z"), Timestamp{Duration{123}});
  for (const char* bad :
       {"", "now", "1970-01-01", "1970-13-01T00:00:00Z", "1970-02-30T00:00:00Z", "1970-01-01T24:00:00Z",
        "1970-01-01 00:00:00Z", "1970-01-01T00:00:00", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+1:00"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

TEST(Encoding, Base64UrlIsStrict) {
  for (const std::string& bytes : {std::string(), std::string("f"), std::string("fo"), std::string("foo"),
                                   std::string("\xff\xfe\0", 3)})
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
  EXPECT_EQ(to_base64url("fo"), "Zm8");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  for (const char* bad : {"Zm8=", "Zm9", "Z", "Zm+8", "Zm 8"}) EXPECT_FALSE(from_base64url(bad)) << bad;
  EXPECT_EQ(to_hex(std::string("\x00\xff", 2)), "00ff");
}

TEST(Encoding, Utf8) {
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x94", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"})
    EXPECT_FALSE(is_utf8(bad));
}

TEST(Secrets, AreTheSameOrNot) {
  EXPECT_TRUE(same_secret("secret", "secret"));
  EXPECT_TRUE(same_secret("", ""));
  for (const std::string other : {"", "secre", "secret ", "Secret", "secreT"})
    EXPECT_FALSE(same_secret("secret", other)) << other;
}

// Threat 30, without a clock: two texts that differ in their first byte, of which one goes on where nothing
// can be read. Who compares to the end gets there, and dies of it.
TEST(SecretsDeathTest, AreComparedToTheEndWhereverTheyDiffer) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const std::string_view given(static_cast<const char*>(memory), 2 * page);
  const std::string known(given.size(), 'x');
  EXPECT_FALSE(same_secret(known, given));
  ASSERT_EQ(::mprotect(static_cast<char*>(memory) + page, page, PROT_NONE), 0);
  EXPECT_DEATH((void)same_secret(known, given), "");
  ::munmap(memory, 2 * page);
}

TEST(SipHash, DependsOnKeyTextAndLength) {
  EXPECT_EQ(siphash13("abc", 1, 2), siphash13("abc", 1, 2));
  EXPECT_NE(siphash13("abc", 1, 2), siphash13("abc", 2, 1));
  EXPECT_NE(siphash13("abc", 1, 2), siphash13("abd", 1, 2));
  EXPECT_NE(siphash13(std::string(1, '\0'), 1, 2), siphash13(std::string(2, '\0'), 1, 2));
  EXPECT_NE(siphash13(std::string(64, 'a'), 1, 2), siphash13(std::string(65, 'a'), 1, 2));
}

// Threat 32: keys that all fall into one bucket of a map with the library's own hash are spread by ours.
TEST(KeyedHash, CollidingKeysAreSpread) {
  constexpr std::size_t kBuckets = 10'273, kKeys = 2000;
  std::unordered_map<std::string, int> plain(kBuckets);
  const std::size_t buckets = plain.bucket_count();
  std::unordered_map<std::string, int, KeyedHash> keyed(buckets);
  for (std::uint64_t n = 0; plain.size() < kKeys; ++n) {
    const std::string key = "topic/" + std::to_string(n);
    if (std::hash<std::string>()(key) % buckets != 7) continue;
    plain.emplace(key, 0);
    keyed.emplace(key, 0);
  }
  ASSERT_EQ(plain.bucket_size(7), kKeys) << "the attack works against a hash without a key";
  std::size_t longest = 0;
  for (std::size_t i = 0; i < keyed.bucket_count(); ++i) longest = std::max(longest, keyed.bucket_size(i));
  EXPECT_LT(longest, 16u);
}

// Whoever reads the source knows no key. The death test is a process of its own, which inherits our hash.
TEST(KeyedHashDeathTest, HasAnotherKeyInEachProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string mine = std::to_string(keyed_hash("topic"));
  ::setenv("BELFRY_TEST_HASH", mine.c_str(), 0);
  EXPECT_EXIT(std::exit(mine == std::getenv("BELFRY_TEST_HASH") ? 1 : 0), testing::ExitedWithCode(0), "");
  ::unsetenv("BELFRY_TEST_HASH");
}

TEST(CountTable, CountsUpToItsBoundAndForgets) {
  CountTable table;
  const auto first = table.take("a", 2), second = table.take("a", 2);
  EXPECT_EQ(first, second);
  EXPECT_FALSE(table.take("a", 2));
  EXPECT_EQ(table.take("", 0), 0u) << "nobody is not counted";
  table.give_back(*first);
  EXPECT_TRUE(table.take("a", 2));
  table.give_back(*first);
  table.give_back(*first);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_NE(table.take("b", 1), 0u);
}

Result<int> twice(Result<int> input) { return TRY(std::move(input)) * 2; }

TEST(Result, TryPassesTheErrorOn) {
  EXPECT_EQ(twice(21).value(), 42);
  const auto failed = twice(fail(Code::bad_topic, "why", "topic"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().text(), "bad_topic: why (topic)");
  EXPECT_FALSE(failed.error().hint().empty());
}

}  // namespace
}  // namespace belfry
