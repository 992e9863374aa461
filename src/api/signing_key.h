#pragma once
// Keys that verify a token's signature. A key is bound to one algorithm when it is made; a token's header
// may only agree with it (RFC 8725 section 3.1), so that no key is ever used for another algorithm.
//
// Values; any thread once made.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace belfry {

// RFC 7518 section 3.1 and RFC 8037: the name in a token's `alg`.
enum class Algorithm { HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA };
std::string_view name_of(Algorithm algorithm);
std::optional<Algorithm> algorithm_of(std::string_view name);

class SigningKey {
 public:
  // Code::config_invalid for a secret below 32 bytes.
  static Result<SigningKey> from_secret(std::string secret, Algorithm algorithm = Algorithm::HS256);
  // A public key or certificate (SPKI PEM). An RSA key is for RS256 unless another of its algorithms is
  // named; at least 2048 bits. Code::config_invalid otherwise.
  static Result<SigningKey> from_pem(std::string_view pem, std::optional<Algorithm> algorithm);

  Algorithm algorithm() const { return algorithm_; }
  // The same for the same key, and nothing that helps to guess it.
  const std::string& fingerprint() const { return fingerprint_; }
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  friend Result<struct JwkSet> parse_jwks(std::string_view text);
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  using Handle = std::unique_ptr<EVP_PKEY, Free>;
  static Result<SigningKey> from_handle(Handle key, std::optional<Algorithm> algorithm);

  Algorithm algorithm_ = Algorithm::HS256;
  std::string secret_, fingerprint_;
  Handle key_;
};

// Of a secret, or of a public key's bytes: the beginning of an HMAC, in hexadecimal digits.
std::string fingerprint_of(std::string_view key);

// A JSON Web Key Set (RFC 7517). Keys that are not for signatures, or not understood, are left out.
struct JwkSet {
  struct Entry {
    std::string kid;
    SigningKey key;
  };
  std::vector<Entry> keys;
};
// Code::bad_json if it is no such set.
Result<JwkSet> parse_jwks(std::string_view text);

}  // namespace belfry
