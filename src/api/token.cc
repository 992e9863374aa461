#include "api/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <simdjson.h>

#include <boost/json.hpp>
#include <cmath>
#include <set>

namespace belfry {
namespace {

namespace json = boost::json;

// Whether any object of this valid JSON has a name twice. Boost.JSON keeps the last one without a word.
bool has_double_name(std::string_view text) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(text.data(), text.size(), true).get(root) != simdjson::SUCCESS) return true;
  std::vector<simdjson::dom::element> waiting{root};
  while (!waiting.empty()) {
    const simdjson::dom::element element = waiting.back();
    waiting.pop_back();
    if (simdjson::dom::array array; element.get_array().get(array) == simdjson::SUCCESS)
      for (const simdjson::dom::element item : array) waiting.push_back(item);
    simdjson::dom::object object;
    if (element.get_object().get(object) != simdjson::SUCCESS) continue;
    std::set<std::string_view> names;
    for (const auto& [name, value] : object) {
      if (!names.insert(name).second) return true;
      waiting.push_back(value);
    }
  }
  return false;
}

// An object without a name twice, or nothing: two readers must not see two different tokens.
std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse({text.data(), text.size()}, failed, {}, options);
  if (failed || !value.is_object() || has_double_name(text)) return std::nullopt;
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

// `aud` is one text or several (RFC 7519 section 4.1.3).
bool is_for(const json::object& claims, std::string_view audience) {
  const auto* value = claims.if_contains("aud");
  if (value == nullptr) return false;
  if (value->is_string()) return value->as_string() == audience;
  if (!value->is_array()) return false;
  for (const auto& item : value->as_array())
    if (item.is_string() && item.as_string() == audience) return true;
  return false;
}

std::string text_claim(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

// Whoever has a token must be one that a backend can name, to erase all of it: a URL holds no NUL.
bool is_user_id(std::string_view text) {
  return text.size() <= limits::user_bytes_max && text.find('\0') == std::string_view::npos &&
         is_utf8(text) && check_topic(user_topic(text));
}

// Only what can be revoked is accepted: wire::parse_revocation_body has the same bounds, or wider ones.
Result<Principal> principal_of(const json::object& claims, Timestamp now) {
  const auto* subject = claims.if_contains("sub");
  if (subject == nullptr || !subject->is_string() || subject->as_string().empty())
    return invalid("The claim sub is missing.");
  Principal principal;
  principal.user = std::string(subject->as_string());
  if (!is_user_id(principal.user))
    return invalid("The claim sub cannot be a user id: at most 200 bytes of UTF-8 without a NUL.");
  principal.name = "user:" + principal.user;
  principal.expires = TRY(time_claim(claims, "exp"));
  if (!principal.expires) return invalid("The claim exp is missing.");
  if (*principal.expires <= now) return fail(Code::token_expired);
  for (const std::string_view name : {"nbf", "iat"}) {
    const auto begins = TRY(time_claim(claims, name));
    if (begins && *begins > now + limits::token_skew) return invalid("The token is not valid yet.");
  }
  principal.rights = TRY(rights_claim(claims, principal.user));
  principal.issued = TRY(time_claim(claims, "iat")).value_or(Timestamp{});
  const auto* id = claims.if_contains("jti");
  if (id != nullptr && !id->is_string()) return invalid("The claim jti is not a text.");
  principal.token_id = text_claim(claims, "jti");
  if (principal.token_id.size() > limits::topic_bytes_max)
    return invalid("The claim jti is longer than 255 bytes.");
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

Result<Principal> verify_token(std::string_view token, const FindSignature& find, const TokenRules& rules,
                               Timestamp now) {
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
  if (!header) return invalid("The token's header is not a JSON object, or has a name twice.");
  const auto algorithm = algorithm_of(text_claim(*header, "alg"));
  if (!algorithm) return invalid("The token's algorithm is not accepted.");
  if (header->contains("crit")) return invalid("The token needs an extension that is not known here.");
  const auto claims = parse_object(*claims_text);
  if (!claims) return invalid("The token's claims are not a JSON object, or have a name twice.");
  const TokenHint hint{*algorithm, text_claim(*header, "kid"), text_claim(*claims, "iss")};
  if (hint.kid.size() > limits::kid_bytes_max) return invalid("The token's kid is too long.");
  if (!find(hint, token.substr(0, last), *signature))
    return invalid("No key of this server made the token's signature.");
  if (!rules.audience.empty() && !is_for(*claims, rules.audience))
    return invalid("The token is for another audience.");
  if (!rules.issuer.empty() && hint.issuer != rules.issuer)
    return invalid("The token is of another issuer.");
  return principal_of(*claims, now);
}

Result<Principal> verify_token(std::string_view token, std::string_view secret, Timestamp now) {
  const auto find = [secret](const TokenHint& hint, std::string_view message, std::string_view signature) {
    const std::string expected = hmac_sha256(secret, message);
    return hint.algorithm == Algorithm::HS256 && same_secret(signature, expected);
  };
  return verify_token(token, find, {}, now);
}

}  // namespace belfry
