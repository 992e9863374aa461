#include "net/client_address.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace belfry::net {

namespace ip = boost::asio::ip;

namespace {

// 4 or 16 bytes; empty if it is no address.
std::string bytes_of(const ip::address& address) {
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return {bytes.begin(), bytes.end()};
  }
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return bytes_of(ip::make_address_v4(ip::v4_mapped, v6));
  const auto bytes = v6.to_bytes();
  return {bytes.begin(), bytes.end()};
}

std::optional<ip::address> parse_address(std::string_view text) {
  boost::system::error_code failed;
  const auto address = ip::make_address(std::string(text), failed);
  if (failed || text.find('%') != std::string_view::npos) return std::nullopt;
  return address;
}

bool same_prefix(std::string_view a, std::string_view b, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (a.substr(0, whole) != b.substr(0, whole)) return false;
  if (bits % 8 == 0) return true;
  const int mask = 0xff << (8 - bits % 8) & 0xff;
  return (a[whole] & mask) == (b[whole] & mask);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", and the quotes that RFC 7239 section 6 asks for.
std::string node_address(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text.starts_with('[')) {
    text = text.substr(1, text.find(']') == std::string_view::npos ? 0 : text.find(']') - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  const auto address = parse_address(text);
  return address ? address->to_string() : std::string();
}

// The value of `for=` in one element of Forwarded (RFC 7239 section 4).
std::string_view for_of(std::string_view element) {
  while (!element.empty()) {
    const auto end = element.find(';');
    const auto pair = trim(element.substr(0, end));
    element = end == std::string_view::npos ? std::string_view{} : element.substr(end + 1);
    if (pair.size() > 4 && (pair[0] | 32) == 'f' && (pair[1] | 32) == 'o' && (pair[2] | 32) == 'r' &&
        pair[3] == '=')
      return pair.substr(4);
  }
  return {};
}

Error no_proxy_header() {
  return fail(Code::bad_request, "The connection does not begin with a PROXY header.");
}

constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kSignature1 = "PROXY ";

Result<std::optional<ProxyHeader>> parse_version1(std::string_view bytes) {
  constexpr std::size_t kLineMax = 107;
  const auto end = bytes.substr(0, kLineMax).find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= kLineMax) return no_proxy_header();
    return std::optional<ProxyHeader>();
  }
  ProxyHeader header{end + 2, {}};
  std::vector<std::string_view> words;
  for (std::string_view rest = bytes.substr(kSignature1.size(), end - kSignature1.size()); !rest.empty();) {
    const auto space = rest.find(' ');
    words.push_back(rest.substr(0, space));
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
  }
  if (!words.empty() && words[0] == "UNKNOWN") return std::optional(header);
  if (words.size() != 5 || (words[0] != "TCP4" && words[0] != "TCP6")) return no_proxy_header();
  const auto address = parse_address(words[1]);
  if (!address || address->is_v4() != (words[0] == "TCP4")) return no_proxy_header();
  header.address = address->to_string();
  return std::optional(header);
}

Result<std::optional<ProxyHeader>> parse_version2(std::string_view bytes) {
  constexpr std::size_t kHead = 16;
  if (bytes.size() < kHead) return std::optional<ProxyHeader>();
  const auto byte = [bytes](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const std::size_t length = static_cast<std::size_t>(byte(14) << 8 | byte(15));
  if (byte(12) >> 4 != 2 || (byte(12) & 15) > 1 || kHead + length > limits::proxy_header_bytes_max)
    return no_proxy_header();
  if (bytes.size() < kHead + length) return std::optional<ProxyHeader>();
  ProxyHeader header{kHead + length, {}};
  const bool local = (byte(12) & 15) == 0;
  const int family = byte(13) >> 4;
  if (local || (family != 1 && family != 2)) return std::optional(header);
  const std::size_t size = family == 1 ? 4 : 16;
  if (length < 2 * size + 4) return no_proxy_header();
  if (family == 1) {
    ip::address_v4::bytes_type raw;
    std::copy_n(bytes.begin() + kHead, 4, raw.begin());
    header.address = ip::make_address_v4(raw).to_string();
  } else {
    ip::address_v6::bytes_type raw;
    std::copy_n(bytes.begin() + kHead, 16, raw.begin());
    header.address = ip::make_address_v6(raw).to_string();
  }
  return std::optional(header);
}

}  // namespace

Result<Networks> Networks::parse(const std::vector<std::string>& texts) {
  Networks out;
  for (const auto& text : texts) {
    const auto slash = text.find('/');
    const auto address = parse_address(std::string_view(text).substr(0, slash));
    const Error bad = fail(Code::config_invalid, "\"" + text + "\" is not a network such as 10.0.0.0/8.");
    if (!address) return bad;
    Network network{bytes_of(*address), 0};
    const auto bits = static_cast<unsigned>(network.bytes.size() * 8);
    network.prefix = bits;
    if (slash != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto parsed = std::from_chars(text.data() + slash + 1, end, network.prefix);
      if (parsed.ec != std::errc{} || parsed.ptr != end || network.prefix > bits) return bad;
    }
    out.networks_.push_back(std::move(network));
  }
  return out;
}

bool Networks::contains(std::string_view text) const {
  const auto address = networks_.empty() ? std::nullopt : parse_address(text);
  if (!address) return false;
  const std::string bytes = bytes_of(*address);
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return network.bytes.size() == bytes.size() && same_prefix(network.bytes, bytes, network.prefix);
  });
}

Result<std::optional<ProxyHeader>> parse_proxy_header(std::string_view bytes) {
  if (bytes.starts_with(kSignature2)) return parse_version2(bytes);
  if (bytes.starts_with(kSignature1)) return parse_version1(bytes);
  if (kSignature2.starts_with(bytes) || kSignature1.starts_with(bytes)) return std::optional<ProxyHeader>();
  return no_proxy_header();
}

std::string client_address(const Request& request, const Networks& trusted, ForwardedHeader header) {
  std::string address = request.peer;
  if (!trusted.contains(address)) return address;
  const bool standard = header == ForwardedHeader::forwarded;
  // Repeated headers are one list (RFC 9110 section 5.3).
  std::string list;
  for (const auto& [name, value] : request.headers)
    if (name == (standard ? "forwarded" : "x-forwarded-for")) list += (list.empty() ? "" : ",") + value;
  std::string_view rest = list;
  while (!rest.empty()) {
    const auto comma = rest.rfind(',');
    const auto item = comma == std::string_view::npos ? rest : rest.substr(comma + 1);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(0, comma);
    std::string before = node_address(standard ? for_of(item) : item);
    if (before.empty()) return address;
    address = std::move(before);
    if (!trusted.contains(address)) return address;
  }
  return address;
}

}  // namespace belfry::net
