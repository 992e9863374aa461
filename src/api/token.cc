#include "api/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <boost/json.hpp>
#include <cmath>

namespace belfry {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kSkew{60};

std::string hmac_sha256(std::string_view secret, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  const auto* done =
      EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, secret.data(), secret.size(),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, sizeof out, &size);
  CHECK(done != nullptr);
  return {reinterpret_cast<const char*>(out), size};
}

// An object without a name twice, or nothing.
std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse({text.data(), text.size()}, failed, {}, options);
  if (failed || !value.is_object()) return std::nullopt;
  return value.as_object();
}

Error invalid(std::string detail) { return fail(Code::token_invalid, std::move(detail)); }

// A NumericDate (RFC 7519 section 2) as a time; nothing if the claim is absent.
Result<std::optional<Timestamp>> time_claim(const json::object& claims, std::string_view name) {
  const auto* value = claims.if_contains({name.data(), name.size()});
  if (value == nullptr) return std::optional<Timestamp>{};
  if (!value->is_number()) return invalid("The claim " + std::string(name) + " is not a number.");
  const double seconds = value->to_number<double>();
  if (!(std::abs(seconds) < 1e12)) return invalid("The claim " + std::string(name) + " is out of range.");
  return std::optional<Timestamp>{Timestamp{Duration{static_cast<std::int64_t>(seconds * 1000)}}};
}

Result<std::vector<std::string>> patterns_claim(const json::object& grants, std::string_view name) {
  std::vector<std::string> patterns;
  const auto* value = grants.if_contains({name.data(), name.size()});
  if (value == nullptr) return patterns;
  if (!value->is_array()) return invalid("belfry." + std::string(name) + " is not a list of patterns.");
  for (const auto& item : value->as_array()) {
    if (!item.is_string()) return invalid("belfry." + std::string(name) + " is not a list of patterns.");
    patterns.emplace_back(item.as_string());
    if (!check_pattern(patterns.back()))
      return invalid("belfry." + std::string(name) + " holds a malformed pattern.");
  }
  patterns.shrink_to_fit();
  return patterns;
}

Result<Rights> rights_claim(const json::object& claims, std::string_view user) {
  const auto* value = claims.if_contains("belfry");
  if (value == nullptr) return default_rights(user);
  if (!value->is_object()) return invalid("The claim belfry is not an object.");
  const auto& grants = value->as_object();
  for (const auto& grant : grants)
    if (grant.key() != "subscribe" && grant.key() != "publish")
      return invalid("The claim belfry has an unknown name.");
  return Rights{TRY(patterns_claim(grants, "subscribe")), TRY(patterns_claim(grants, "publish"))};
}

Result<Principal> principal_of(const json::object& claims, Timestamp now) {
  const auto* subject = claims.if_contains("sub");
  if (subject == nullptr || !subject->is_string() || subject->as_string().empty())
    return invalid("The claim sub is missing.");
  Principal principal;
  principal.user = std::string(subject->as_string());
  if (!is_utf8(principal.user) || !check_topic(user_topic(principal.user)))
    return invalid("The claim sub cannot be a user id.");
  principal.name = "user:" + principal.user;
  principal.expires = TRY(time_claim(claims, "exp"));
  if (!principal.expires) return invalid("The claim exp is missing.");
  if (*principal.expires <= now) return fail(Code::token_expired);
  for (const std::string_view name : {"nbf", "iat"}) {
    const auto begins = TRY(time_claim(claims, name));
    if (begins && *begins > now + kSkew) return invalid("The token is not valid yet.");
  }
  principal.rights = TRY(rights_claim(claims, principal.user));
  return principal;
}

}  // namespace

std::string mint_token(const TokenClaims& claims, std::string_view secret) {
  json::object body{{"sub", claims.subject},
                    {"iat", claims.issued.value.count() / 1000},
                    {"exp", claims.expires.value.count() / 1000}};
  if (!claims.id.empty()) body["jti"] = claims.id;
  if (!claims.subscribe.empty() || !claims.publish.empty()) {
    body["belfry"] = {{"subscribe", json::value_from(claims.subscribe)},
                      {"publish", json::value_from(claims.publish)}};
  }
  std::string text =
      to_base64url(R"({"alg":"HS256","typ":"JWT"})") + '.' + to_base64url(json::serialize(body));
  return text + '.' + to_base64url(hmac_sha256(secret, text));
}

Result<Principal> verify_token(std::string_view token, std::string_view secret, Timestamp now) {
  if (token.size() > limits::token_bytes_max) return invalid("The token is too long.");
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return invalid("The token is not a compact JWS.");
  const auto header_text = from_base64url(token.substr(0, first));
  const auto claims_text = from_base64url(token.substr(first + 1, last - first - 1));
  const auto signature = from_base64url(token.substr(last + 1));
  if (!header_text || !claims_text || !signature) return invalid("The token is not base64url.");
  const auto header = parse_object(*header_text);
  if (!header) return invalid("The token's header is not a JSON object.");
  const auto* algorithm = header->if_contains("alg");
  if (algorithm == nullptr || !algorithm->is_string() || algorithm->as_string() != "HS256")
    return invalid("The token is not signed with HS256.");
  if (header->contains("crit")) return invalid("The token needs an extension that is not known here.");
  const std::string expected = hmac_sha256(secret, token.substr(0, last));
  if (signature->size() != expected.size() ||
      CRYPTO_memcmp(signature->data(), expected.data(), expected.size()) != 0)
    return invalid("The token's signature does not match.");
  const auto claims = parse_object(*claims_text);
  if (!claims) return invalid("The token's claims are not a JSON object.");
  return principal_of(*claims, now);
}

}  // namespace belfry
