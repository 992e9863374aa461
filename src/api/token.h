#pragma once
// JSON Web Tokens (RFC 7519) signed with HS256, by our own verifier: the key fixes the algorithm, the
// header may only agree with it. Any thread.

#include <string>
#include <string_view>
#include <vector>

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

// The user behind a token. Code::token_invalid with the reason, or token_expired; a skew of 60 s is allowed
// on `nbf` and `iat`, none on `exp`, because streams end by it.
Result<Principal> verify_token(std::string_view token, std::string_view secret, Timestamp now);

}  // namespace belfry
