#pragma once
// JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, read by our own verifier: libraries at hand
// accept an HS256 token that was signed with an RSA key's public half. Any thread.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing_key.h"
#include "model/model.h"

namespace belfry {

struct TokenClaims {
  std::string subject;
  std::vector<std::string>
      subscribe;  // patterns; with `publish` empty too: the default rights of the subject
  std::vector<std::string> publish;
  Timestamp issued;
  Timestamp expires;
  std::string id;  // `jti`; empty: none
};

// REQUIRES: a secret of at least 32 bytes.
std::string mint_token(const TokenClaims& claims, std::string_view secret);

// What a token says of who may have signed it. Nothing of this is true before the signature is verified.
struct TokenHint {
  Algorithm algorithm;
  std::string kid;     // at most 128 bytes; used for looking up only
  std::string issuer;  // `iss`
};

struct TokenRules {
  std::string audience;  // must be in `aud`; empty: not asked
  std::string issuer;    // must be `iss` where the key is bound to none; empty: not asked
};

// Whether one of the keys that the hint leads to made this signature.
using FindSignature =
    std::function<bool(const TokenHint& hint, std::string_view message, std::string_view signature)>;

// The user behind a token. Code::token_invalid with the reason, or token_expired; limits::token_skew is
// allowed on `nbf` and `iat`, none on `exp`, because streams end by it.
Result<Principal> verify_token(std::string_view token, const FindSignature& find, const TokenRules& rules,
                               Timestamp now);
// With one secret for HS256.
Result<Principal> verify_token(std::string_view token, std::string_view secret, Timestamp now);

}  // namespace belfry
