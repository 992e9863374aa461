#include "api/keyring.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <mutex>
#include <utility>

namespace belfry {
namespace {

constexpr std::size_t kSecretBytesMin = 32;

std::string_view text_of(const std::array<unsigned char, 32>& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Each request with a backend key asks for a digest; to look the algorithm up costs more than to use it.
std::array<unsigned char, 32> sha256(std::string_view text) {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::array<unsigned char, 32> digest{};
  CHECK(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, algorithm, nullptr) == 1);
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
  return to_hex(text_of(sha256(text)));
}

// What the change takes away is told.
template <class Change>
void Keyring::change_keys(Change change) {
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    change();
    const std::set<std::string> before = std::exchange(fingerprints_, read_fingerprints());
    std::set_difference(before.begin(), before.end(), fingerprints_.begin(), fingerprints_.end(),
                        std::back_inserter(gone));
  }
  if (!gone.empty() && on_keys_gone) on_keys_gone(gone);
}

Keyring::BackendKey::BackendKey(const Digest& of) : digest(of), fingerprint(fingerprint_of(text_of(of))) {}

Keyring::Known::Known(std::string of_issuer, std::string of_kid, SigningKey of_key)
    : issuer(std::move(of_issuer)),
      kid(std::move(of_kid)),
      key(std::move(of_key)),
      name(issuer.empty() ? key.fingerprint() : fingerprint_of(issuer) + '.' + key.fingerprint()) {}

Keyring::Prefixes::Prefixes(const TokenRules& rules)
    : of_issuer(fingerprint_of(rules.audience) + '/'),
      of_none(fingerprint_of(rules.audience + std::string(1, '\0') + rules.issuer) + '/') {}

std::string Keyring::Prefixes::put_before(const std::string& name) const {
  return (name.find('.') == std::string::npos ? of_none : of_issuer) + name;
}

Keyring::Keyring(TokenRules rules)
    : rules_(std::move(rules)), prefixes_(rules_), first_prefixes_(prefixes_) {}

// REQUIRES: the lock, here and in the next two.
std::set<std::string> Keyring::read_fingerprints() const {
  std::set<std::string> out;
  for (const Known& known : keys_) out.insert(prefixes_.put_before(known.name));
  for (const auto& [issuer, keys] : awaited_)
    for (const std::string& key : keys) out.insert(prefixes_.put_before(key));
  for (const auto* keys : {&backend_keys_, &hashed_keys_})
    for (const auto& [id, key] : *keys)
      if (!revoked_keys_.contains(id)) out.insert(key.fingerprint);
  return out;
}

// What is dated in the future was let in by a clock that was ahead: it may be older than the revocation.
bool Keyring::is_revoked(const std::string& user, Timestamp issued, const std::string& token_id,
                         Timestamp now) const {
  const auto found = revoked_users_.find(user);
  const bool by_user = found != revoked_users_.end() &&
                       (issued <= found->second.not_before || issued - now > limits::token_skew);
  return by_user || (!token_id.empty() && revoked_tokens_.contains(token_id));
}

// Of an issuer that has said nothing since the start: then the key counts until it says. Such keys are few,
// because only tickets of our own name one.
bool Keyring::count_until_heard(const std::string& key) const {
  for (auto& [issuer, keys] : awaited_) {
    if (heard_.contains(issuer)) continue;
    if (!key.starts_with(prefixes_.of_issuer + fingerprint_of(issuer) + '.')) continue;
    keys.insert(key.substr(prefixes_.of_issuer.size()));
    fingerprints_.insert(key);
    return true;
  }
  return false;
}

void Keyring::add_key(SigningKey key, std::string kid, std::string issuer) {
  change_keys([&] {
    if (!issuer.empty()) issuers_.insert(issuer);
    keys_.emplace_back(std::move(issuer), std::move(kid), std::move(key));
  });
}

void Keyring::set_issuer_keys(const std::string& issuer, JwkSet set) {
  change_keys([&] {
    issuers_.insert(issuer);
    awaited_.erase(issuer);
    heard_.insert(issuer);
    std::erase_if(keys_, [&](const Known& known) { return known.issuer == issuer; });
    for (auto& entry : set.keys) keys_.emplace_back(issuer, std::move(entry.kid), std::move(entry.key));
  });
}

void Keyring::await_issuer(const std::string& issuer) {
  change_keys([&] {
    issuers_.insert(issuer);
    auto& had = awaited_[issuer];
    for (const Known& known : keys_)
      if (known.issuer == issuer) had.insert(known.name);
    std::erase_if(keys_, [&](const Known& known) { return known.issuer == issuer; });
  });
}

Result<void> Keyring::add_backend_key(std::string_view key) {
  const auto id = backend_key_id(key);
  if (id.empty())
    return fail(Code::config_invalid, "A backend key has the form bk_<id>_<at least 32 characters>.",
                "auth.backend_key_files");
  change_keys([&] { backend_keys_.insert_or_assign(std::string(id), BackendKey(sha256(key))); });
  return {};
}

void Keyring::set_hashed_keys(std::map<std::string, std::string> sha256_by_id,
                              std::set<std::string> revoked) {
  change_keys([&] {
    hashed_keys_.clear();
    for (const auto& [id, text] : sha256_by_id) {
      Digest digest;
      if (text.size() != digest.size()) continue;
      std::memcpy(digest.data(), text.data(), digest.size());
      hashed_keys_.emplace(id, digest);
    }
    revoked_keys_ = std::move(revoked);
  });
}

void Keyring::take_configured(Keyring&& fresh) {
  change_keys([&] {
    std::set<std::string> with_keys;
    for (const Known& known : fresh.keys_) with_keys.insert(known.issuer);
    for (Known& known : keys_)
      if (!known.issuer.empty() && fresh.issuers_.contains(known.issuer) &&
          !with_keys.contains(known.issuer))
        fresh.keys_.push_back(std::move(known));
    // One that was heard of is not awaited again; one that is configured no more is not at all.
    for (const Known& known : fresh.keys_) fresh.awaited_.erase(known.issuer);
    for (const std::string& issuer : heard_)
      if (fresh.issuers_.contains(issuer)) fresh.heard_.insert(issuer);
    for (auto& [issuer, keys] : fresh.awaited_)
      if (const auto mine = awaited_.find(issuer); mine != awaited_.end()) keys = mine->second;
    awaited_ = std::move(fresh.awaited_);
    heard_ = std::move(fresh.heard_);
    keys_ = std::move(fresh.keys_);
    issuers_ = std::move(fresh.issuers_);
    backend_keys_ = std::move(fresh.backend_keys_);
    rules_ = std::move(fresh.rules_);
    prefixes_ = std::move(fresh.prefixes_);
  });
}

void Keyring::revoke(const Revocation& revocation) {
  const std::lock_guard lock(mutex_);
  auto& revoked = revocation.token_id.empty() ? revoked_users_ : revoked_tokens_;
  const std::string& name = revocation.token_id.empty() ? revocation.user : revocation.token_id;
  Revocation& mine = revoked.try_emplace(name, revocation).first->second;
  mine.not_before = std::max(mine.not_before, revocation.not_before);
  mine.forget = std::max(mine.forget, revocation.forget);
}

void Keyring::forget_revocations(Timestamp now) {
  const std::lock_guard lock(mutex_);
  for (auto* revoked : {&revoked_users_, &revoked_tokens_})
    std::erase_if(*revoked, [now](const auto& row) { return row.second.forget <= now; });
}

// REQUIRES: the lock.
std::string Keyring::find_signature(const TokenHint& hint, std::string_view message,
                                    std::string_view signature, bool& unknown) const {
  const bool of_issuer = issuers_.contains(hint.issuer);
  std::size_t tried = 0;
  for (const Known& known : keys_) {
    if (known.issuer != (of_issuer ? hint.issuer : std::string())) continue;
    if (known.key.algorithm() != hint.algorithm) continue;
    if (!hint.kid.empty() && !known.kid.empty() && known.kid != hint.kid) continue;
    if (++tried > limits::jwks_keys_tried_max) break;
    if (known.key.verify(message, signature)) return known.name;
  }
  unknown = of_issuer && tried == 0;
  return {};
}

Result<Principal> Keyring::authenticate(std::string_view credentials, Timestamp now) const {
  if (credentials.empty()) return fail(Code::unauthenticated);
  if (credentials.starts_with("bk_")) return authenticate_backend(credentials);
  std::string unknown_of, key;
  const auto find = [&](const TokenHint& hint, std::string_view message, std::string_view signature) {
    const std::shared_lock lock(mutex_);
    bool unknown = false;
    key = find_signature(hint, message, signature, unknown);
    if (unknown) unknown_of = hint.issuer;
    return !key.empty();
  };
  const auto [rules, prefixes] = [this] {
    const std::shared_lock lock(mutex_);
    return std::pair(rules_, prefixes_);
  }();
  auto principal = verify_token(credentials, find, rules, now);
  if (!unknown_of.empty() && on_unknown_key) on_unknown_key(unknown_of);
  if (!principal) return principal;
  principal.value().key = prefixes.put_before(key);
  std::shared_lock lock(mutex_);
  if (prefixes.of_none != prefixes_.of_none) {
    lock.unlock();  // the rules changed meanwhile
    return authenticate(credentials, now);
  }
  if (is_revoked(principal.value().user, principal.value().issued, principal.value().token_id, now))
    return fail(Code::token_revoked);
  return principal;
}

void Keyring::complete(Principal& principal) const {
  const std::shared_lock lock(mutex_);
  std::string& key = principal.key;
  const bool named = key.empty() || key.find('/') != std::string::npos;
  if (!named && !fingerprints_.contains(key)) key = first_prefixes_.put_before(key);
}

Result<void> Keyring::check(const Principal& principal, Timestamp now) const {
  if (principal.expires && *principal.expires <= now) return fail(Code::token_expired);
  const bool of_user = !principal.user.empty();
  {
    const std::shared_lock lock(mutex_);
    if (of_user && is_revoked(principal.user, principal.issued, principal.token_id, now))
      return fail(Code::token_revoked);
    if (principal.key.empty() || fingerprints_.contains(principal.key)) return {};
  }
  const std::lock_guard lock(mutex_);
  if (!fingerprints_.contains(principal.key) && !count_until_heard(principal.key))
    return fail(Code::token_revoked, "The key that vouched for it is not known any more.");
  return {};
}

bool Keyring::stands(const Scheduled& scheduled) const {
  constexpr std::string_view kUser = "user:", kBackend = "backend:";
  const std::string& by = scheduled.principal;
  const std::shared_lock lock(mutex_);
  if (by.starts_with(kUser))
    return !is_revoked(by.substr(kUser.size()), scheduled.issued, scheduled.token_id, scheduled.issued);
  if (!by.starts_with(kBackend)) return true;
  const std::string id = by.substr(kBackend.size());
  return !revoked_keys_.contains(id);
}

// Every key is compared, found or not, and each in constant time: the answer's time tells nothing.
Result<Principal> Keyring::authenticate_backend(std::string_view key) const {
  const auto digest = sha256(key);
  const std::shared_lock lock(mutex_);
  const std::pair<const std::string, BackendKey>* found = nullptr;
  for (const auto* keys : {&backend_keys_, &hashed_keys_})
    for (const auto& known : *keys)
      if (same_secret(text_of(known.second.digest), text_of(digest))) found = &known;
  if (found == nullptr) return fail(Code::token_invalid, "The backend key is not known here.");
  if (revoked_keys_.contains(found->first)) return fail(Code::token_revoked, "The backend key was revoked.");
  Principal principal{"backend:" + found->first, {}, Rights{{"#"}, {"#"}}, std::nullopt};
  principal.key = found->second.fingerprint;
  return principal;
}

std::string make_backend_key() { return "bk_" + to_hex(random_bytes(4)) + "_" + to_hex(random_bytes(24)); }

std::string make_jwt_secret() { return to_base64url(random_bytes(32)); }

}  // namespace belfry
