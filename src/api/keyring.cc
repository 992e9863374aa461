#include "api/keyring.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <mutex>

namespace belfry {
namespace {

constexpr std::size_t kSecretBytesMin = 32;

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  std::size_t size = 0;
  CHECK(EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(), digest.data(), &size) == 1);
  return digest;
}

}  // namespace

std::string_view backend_key_id(std::string_view key) {
  if (!key.starts_with("bk_")) return {};
  const auto end = key.find('_', 3);
  if (end == std::string_view::npos || key.size() - end - 1 < kSecretBytesMin) return {};
  return key.substr(3, end - 3);
}

std::string sha256_hex(std::string_view text) {
  const auto digest = sha256(text);
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

void Keyring::add_key(SigningKey key, std::string kid, std::string issuer) {
  const std::lock_guard lock(mutex_);
  if (!issuer.empty()) issuers_.insert(issuer);
  keys_.push_back({std::move(issuer), std::move(kid), std::move(key)});
}

void Keyring::set_issuer_keys(const std::string& issuer, JwkSet set) {
  const std::lock_guard lock(mutex_);
  issuers_.insert(issuer);
  std::erase_if(keys_, [&](const Known& known) { return known.issuer == issuer; });
  for (auto& entry : set.keys) keys_.push_back({issuer, std::move(entry.kid), std::move(entry.key)});
}

Result<void> Keyring::add_backend_key(std::string_view key) {
  const auto id = backend_key_id(key);
  if (id.empty())
    return fail(Code::config_invalid, "A backend key has the form bk_<id>_<at least 32 characters>.",
                "auth.backend_key_files");
  const std::lock_guard lock(mutex_);
  backend_keys_[std::string(id)] = sha256(key);
  return {};
}

void Keyring::set_hashed_keys(std::map<std::string, std::string> sha256_by_id) {
  const std::lock_guard lock(mutex_);
  hashed_keys_.clear();
  for (const auto& [id, digest] : sha256_by_id)
    if (digest.size() == 32) std::memcpy(hashed_keys_[id].data(), digest.data(), 32);
}

void Keyring::take_configured(Keyring&& fresh) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> with_keys;
  for (const Known& known : fresh.keys_) with_keys.insert(known.issuer);
  for (Known& known : keys_)
    if (!known.issuer.empty() && fresh.issuers_.contains(known.issuer) && !with_keys.contains(known.issuer))
      fresh.keys_.push_back(std::move(known));
  keys_ = std::move(fresh.keys_);
  issuers_ = std::move(fresh.issuers_);
  backend_keys_ = std::move(fresh.backend_keys_);
  rules_ = std::move(fresh.rules_);
}

void Keyring::revoke(const Revocation& revocation) {
  const std::lock_guard lock(mutex_);
  auto& revoked = revocation.token_id.empty() ? revoked_users_ : revoked_tokens_;
  auto& mine = revoked[revocation.token_id.empty() ? revocation.user : revocation.token_id];
  if (mine.not_before <= revocation.not_before) mine = revocation;
}

void Keyring::forget_revocations(Timestamp now) {
  const std::lock_guard lock(mutex_);
  for (auto* revoked : {&revoked_users_, &revoked_tokens_})
    std::erase_if(*revoked, [now](const auto& row) { return row.second.forget <= now; });
}

// REQUIRES: the lock.
bool Keyring::find_signature(const TokenHint& hint, std::string_view message, std::string_view signature,
                             bool& unknown) const {
  const bool of_issuer = issuers_.contains(hint.issuer);
  std::size_t tried = 0;
  for (const Known& known : keys_) {
    if (known.issuer != (of_issuer ? hint.issuer : std::string())) continue;
    if (known.key.algorithm() != hint.algorithm) continue;
    if (!hint.kid.empty() && !known.kid.empty() && known.kid != hint.kid) continue;
    if (++tried > limits::jwks_keys_tried_max) break;
    if (known.key.verify(message, signature)) return true;
  }
  unknown = of_issuer && tried == 0;
  return false;
}

Result<Principal> Keyring::authenticate(std::string_view credentials, Timestamp now) const {
  if (credentials.empty()) return fail(Code::unauthenticated);
  if (credentials.starts_with("bk_")) return authenticate_backend(credentials);
  std::string unknown_of;
  const auto find = [&](const TokenHint& hint, std::string_view message, std::string_view signature) {
    const std::shared_lock lock(mutex_);
    bool unknown = false;
    const bool found = find_signature(hint, message, signature, unknown);
    if (unknown) unknown_of = hint.issuer;
    return found;
  };
  const TokenRules rules = [this] {
    const std::shared_lock lock(mutex_);
    return rules_;
  }();
  auto principal = verify_token(credentials, find, rules, now);
  if (!unknown_of.empty() && on_unknown_key) on_unknown_key(unknown_of);
  if (!principal) return principal;
  TRY(check_revoked(principal.value()));
  return principal;
}

Result<void> Keyring::check_revoked(const Principal& principal) const {
  const std::shared_lock lock(mutex_);
  const auto user = revoked_users_.find(principal.user);
  const bool by_user = user != revoked_users_.end() && principal.issued <= user->second.not_before;
  const bool by_token = !principal.token_id.empty() && revoked_tokens_.contains(principal.token_id);
  if (!principal.user.empty() && (by_user || by_token)) return fail(Code::token_revoked);
  return {};
}

// Every key is compared, found or not, and each in constant time: the answer's time tells nothing.
Result<Principal> Keyring::authenticate_backend(std::string_view key) const {
  const auto digest = sha256(key);
  const std::shared_lock lock(mutex_);
  const std::string* found = nullptr;
  for (const auto* keys : {&backend_keys_, &hashed_keys_})
    for (const auto& [id, known] : *keys)
      if (CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0) found = &id;
  if (found == nullptr) return fail(Code::token_invalid, "The backend key is not known here.");
  return Principal{"backend:" + *found, {}, Rights{{"#"}, {"#"}}, std::nullopt};
}

std::string make_backend_key() { return "bk_" + to_hex(random_bytes(4)) + "_" + to_hex(random_bytes(24)); }

std::string make_jwt_secret() { return to_base64url(random_bytes(32)); }

}  // namespace belfry
