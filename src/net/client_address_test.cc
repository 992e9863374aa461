#include "net/client_address.h"

#include <gtest/gtest.h>

#include "net/server_fixture.h"

namespace belfry::net {
namespace {

Networks networks(const std::vector<std::string>& texts) { return Networks::parse(texts).value(); }

TEST(NetworksTest, Table) {
  const Networks some = networks({"10.0.0.0/8", "192.0.2.7", "fd00::/9", "0.0.0.0/32"});
  for (const auto* inside : {"10.255.0.1", "192.0.2.7", "::ffff:10.1.2.3", "fd7f::1", "0.0.0.0"})
    EXPECT_TRUE(some.contains(inside)) << inside;
  for (const auto* outside : {"11.0.0.1", "192.0.2.8", "fd80::1", "::1", "", "nonsense", "10.0.0.1%lo"})
    EXPECT_FALSE(some.contains(outside)) << outside;
  for (const auto* bad : {"10.0.0.0/33", "10.0.0.0/", "x", "", "10.0.0.0/-1", "::/129", "1.2.3"})
    EXPECT_EQ(Networks::parse({bad}).error().code, Code::config_invalid) << bad;
  EXPECT_FALSE(Networks().contains("127.0.0.1"));
}

TEST(ProxyHeaderTest, VersionOne) {
  const auto parsed = parse_proxy_header("PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\nGET /");
  ASSERT_TRUE(parsed && parsed.value());
  EXPECT_EQ(parsed.value()->address, "203.0.113.9");
  EXPECT_EQ(parsed.value()->size, std::string("PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\n").size());
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN\r\n").value()->address, "");
  EXPECT_EQ(parse_proxy_header("PROXY TCP6 2001:db8::1 ::1 5 80\r\n").value()->address, "2001:db8::1");
  for (const auto* more : {"", "P", "PROXY", "PROXY TCP4 203.0.113.9 1", "\r\n\r\n"})
    EXPECT_TRUE(parse_proxy_header(more) && !parse_proxy_header(more).value()) << more;
  for (const auto& bad : {std::string("GET / HTTP/1.1\r\n"), std::string("PROXY TCP4 x 10.0.0.1 5 80\r\n"),
                          std::string("PROXY TCP4 ::1 ::1 5 80\r\n"), std::string("PROXY \r\n"),
                          "PROXY " + std::string(120, 'x')})
    EXPECT_FALSE(parse_proxy_header(bad)) << bad;
}

TEST(ProxyHeaderTest, VersionTwo) {
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::string four =
      signature + std::string("\x21\x11\0\x0c", 4) + std::string("\xcb\0\x71\x09\x0a\0\0\1\0\5\0\x50", 12);
  EXPECT_EQ(parse_proxy_header(four).value()->address, "203.0.113.9");
  EXPECT_EQ(parse_proxy_header(four + "GET").value()->size, four.size());
  EXPECT_EQ(parse_proxy_header(signature + std::string("\x20\0\0\0", 4)).value()->address, "") << "LOCAL";
  // IPv6 takes 36 bytes; what follows them belongs to the header too.
  const std::string six = signature + std::string("\x21\x21\0\x2a", 4) + "\x20\x01\x0d\xb8" +
                          std::string(11, '\0') + "\1" + std::string(20, '\0') + std::string("\4\0\3abc", 6);
  EXPECT_EQ(parse_proxy_header(six + "GET").value()->address, "2001:db8::1");
  EXPECT_EQ(parse_proxy_header(six + "GET").value()->size, six.size());
  for (std::size_t cut = 0; cut < four.size(); ++cut)
    EXPECT_FALSE(parse_proxy_header(four.substr(0, cut)).value()) << cut;
  EXPECT_FALSE(parse_proxy_header(signature + std::string("\x31\x11\0\x0c", 4))) << "version 3";
  EXPECT_FALSE(parse_proxy_header(signature + std::string("\x21\x11\xff\xff", 4))) << "too long";
  EXPECT_FALSE(parse_proxy_header(signature + std::string("\x21\x11\0\2ab", 6))) << "too short";
}

std::string seen(std::string peer, const std::vector<std::string>& values,
                 ForwardedHeader header = ForwardedHeader::x_forwarded_for) {
  Request request;
  request.peer = std::move(peer);
  for (const auto& value : values)
    request.headers.emplace_back(header == ForwardedHeader::forwarded ? "forwarded" : "x-forwarded-for",
                                 value);
  return client_address(request, networks({"10.0.0.0/8"}), header);
}

TEST(ClientAddressTest, OnlyTrustedProxiesAreBelieved) {
  EXPECT_EQ(seen("192.0.2.1", {"203.0.113.9"}), "192.0.2.1") << "not a proxy of ours";
  EXPECT_EQ(seen("10.0.0.1", {"203.0.113.9"}), "203.0.113.9");
  EXPECT_EQ(seen("10.0.0.1", {"6.6.6.6, 203.0.113.9"}), "203.0.113.9") << "what the client said itself";
  EXPECT_EQ(seen("10.0.0.1", {"203.0.113.9, 10.0.0.2"}), "203.0.113.9") << "two proxies";
  EXPECT_EQ(seen("10.0.0.1", {"6.6.6.6", "203.0.113.9"}), "203.0.113.9") << "two headers are one list";
  EXPECT_EQ(seen("10.0.0.1", {"nonsense"}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {"6.6.6.6, nonsense"}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db8::1]:443"}), "2001:db8::1");
  const auto standard = ForwardedHeader::forwarded;
  EXPECT_EQ(seen("10.0.0.1", {"for=6.6.6.6, For=\"[2001:db8::1]:7\";proto=https"}, standard),
            "2001:db8::1");
  EXPECT_EQ(seen("10.0.0.1", {"proto=https;for=203.0.113.9:80"}, standard), "203.0.113.9");
  EXPECT_EQ(seen("10.0.0.1", {"for=_hidden"}, standard), "10.0.0.1");
}

struct BehindAProxy : ServerTest<SystemClock> {
  static HttpServerOptions options() {
    HttpServerOptions made;
    made.proxy_protocol = true;
    made.trusted_proxies = networks({"127.0.0.0/8"});
    return made;
  }
  BehindAProxy() : ServerTest(options()) {}
};

TEST_F(BehindAProxy, TheHeaderComesFirstWhole) {
  Peer peer(server->port());
  peer.send("PROXY TCP4 203.0.113.9 10.0");
  peer.send(".0.1 5 80\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(peer.until("GET /a").find("200 OK"), std::string::npos);
  Peer without(server->port());
  without.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(without.to_end(), "");
}

}  // namespace
}  // namespace belfry::net
