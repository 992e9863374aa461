#pragma once
// The secrets a server knows: one for users' tokens, any number of backend keys. Immutable once made; any
// thread.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry {

class Keyring {
 public:
  // Code::config_invalid for a secret below 32 bytes.
  static Result<Keyring> make(std::string jwt_secret);

  // A key is `bk_<id>_<secret>`; only its SHA-256 is kept. Code::config_invalid if it is malformed.
  Result<void> add_backend_key(std::string_view key);

  // A backend key (may publish and subscribe everywhere) or a user's token. Code::unauthenticated for an
  // empty one.
  Result<Principal> authenticate(std::string_view credentials, Timestamp now) const;

 private:
  struct BackendKey {
    std::string id;
    std::array<unsigned char, 32> digest;
  };
  std::string jwt_secret_;
  std::vector<BackendKey> backend_keys_;
};

// A new key, and a new secret for tokens, as texts for a file.
std::string make_backend_key();
std::string make_jwt_secret();

}  // namespace belfry
