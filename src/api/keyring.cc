#include "api/keyring.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "api/token.h"

namespace belfry {
namespace {

constexpr std::size_t kSecretBytesMin = 32;

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  std::size_t size = 0;
  CHECK(EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(), digest.data(), &size) == 1);
  return digest;
}

// The id in `bk_<id>_<secret>`, or nothing.
std::string_view key_id(std::string_view key) {
  if (!key.starts_with("bk_")) return {};
  const auto end = key.find('_', 3);
  if (end == std::string_view::npos || key.size() - end - 1 < kSecretBytesMin) return {};
  return key.substr(3, end - 3);
}

}  // namespace

Result<Keyring> Keyring::make(std::string jwt_secret) {
  if (jwt_secret.size() < kSecretBytesMin)
    return fail(Code::config_invalid, "The secret for tokens must have at least 32 bytes.",
                "auth.jwt_secret_file");
  Keyring keyring;
  keyring.jwt_secret_ = std::move(jwt_secret);
  return keyring;
}

Result<void> Keyring::add_backend_key(std::string_view key) {
  const auto id = key_id(key);
  if (id.empty())
    return fail(Code::config_invalid, "A backend key has the form bk_<id>_<at least 32 characters>.",
                "auth.backend_key_files");
  backend_keys_.push_back({std::string(id), sha256(key)});
  return {};
}

Result<Principal> Keyring::authenticate(std::string_view credentials, Timestamp now) const {
  if (credentials.empty()) return fail(Code::unauthenticated);
  if (!credentials.starts_with("bk_")) return verify_token(credentials, jwt_secret_, now);
  const auto digest = sha256(credentials);
  const BackendKey* found = nullptr;
  for (const auto& key : backend_keys_)
    if (CRYPTO_memcmp(key.digest.data(), digest.data(), digest.size()) == 0) found = &key;
  if (found == nullptr) return fail(Code::token_invalid, "The backend key is not known here.");
  return Principal{"backend:" + found->id, {}, Rights{{"#"}, {"#"}}, std::nullopt};
}

std::string make_backend_key() { return "bk_" + to_hex(random_bytes(4)) + "_" + to_hex(random_bytes(24)); }

std::string make_jwt_secret() { return to_base64url(random_bytes(32)); }

}  // namespace belfry
