#pragma once
// The keys a server knows: for users' tokens, and for backends. And the tokens that count no more.
//
// Owner: server. Thread: any; one lock, shared by those who ask, once a connection or request, never once a
//         delivery.
// Always: a key that belongs to an issuer verifies that issuer's tokens alone; a token never names where
// its key is fetched.

#include <array>
#include <functional>
#include <map>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "api/signing_key.h"
#include "api/token.h"
#include "model/model.h"
#include "store/store.h"

namespace belfry {

class Keyring {
 public:
  Keyring() : Keyring(TokenRules{}) {}
  explicit Keyring(TokenRules rules);

  // `issuer` empty: for tokens of any issuer that the rules allow.
  void add_key(SigningKey key, std::string kid = {}, std::string issuer = {});
  // The issuer's keys as it says now; replaces what was known of it.
  void set_issuer_keys(const std::string& issuer, JwkSet keys);
  // It has not said yet, or not for long: its keys open nothing, and nothing was taken back.
  void await_issuer(const std::string& issuer);
  // Called without the lock when a token names an issuer's key that is not known. Set before use.
  std::function<void(const std::string& issuer)> on_unknown_key;
  // Called without the lock when keys were here and are not any more: what they vouched for is over. Set
  // before use.
  std::function<void(const std::vector<std::string>& fingerprints)> on_keys_gone;

  // A key is `bk_<id>_<secret>`; only its SHA-256 is kept. Code::config_invalid if it is malformed.
  Result<void> add_backend_key(std::string_view key);
  // All backend keys of the key file: id and SHA-256. Those of add_backend_key stay. `revoked`: ids of keys,
  // these or others, that open nothing, and whose scheduled events are not to be published. An id that is
  // not known at all is none of them: a key may be replaced, or its file be elsewhere after a restore.
  void set_hashed_keys(std::map<std::string, std::string> sha256_by_id, std::set<std::string> revoked);

  // The keys of files and the rules as they are in `fresh`; what was fetched of issuers that are still
  // there stays.
  void take_configured(Keyring&& fresh);

  // Makes what is known of the user or the token stronger, never weaker.
  void revoke(const Revocation& revocation);
  void forget_revocations(Timestamp now);

  // A backend key (may publish and subscribe everywhere) or a user's token. Code::unauthenticated for an
  // empty one, token_revoked for one that counts no more.
  Result<Principal> authenticate(std::string_view credentials, Timestamp now) const;
  // For a ticket that an earlier version wrote: it names its key without the rules. The rules that this
  // keyring was made with are put before it.
  void complete(Principal& principal) const;
  // Whether somebody who came in earlier may still: Code::token_expired, or token_revoked, also if the key
  // that vouched for it is not here any more, or the rules are others.
  Result<void> check(const Principal& principal, Timestamp now) const;
  // Whether it may still be published: its principal's token or key was not revoked since.
  bool stands(const Scheduled& scheduled) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  struct BackendKey {
    explicit BackendKey(const Digest& of);
    Digest digest;            // of the whole key, by SHA-256
    std::string fingerprint;  // of the digest: made once, for each request names it
  };
  struct Known {
    Known(std::string of_issuer, std::string of_kid, SigningKey of_key);
    std::string issuer, kid;
    SigningKey key;
    std::string name;  // the key's fingerprint, with its issuer's: made once, for each token asks for it
  };
  // The fingerprint of the key that made the signature; empty: none did.
  std::string find_signature(const TokenHint& hint, std::string_view message, std::string_view signature,
                             bool& unknown) const;
  Result<Principal> authenticate_backend(std::string_view key) const;
  template <class Change>
  void change_keys(Change change);
  std::set<std::string> read_fingerprints() const;
  bool is_revoked(const std::string& user, Timestamp issued, const std::string& token_id,
                  Timestamp now) const;
  bool count_until_heard(const std::string& key) const;

  // Before the name of a key in a principal: what rules let in is over when they change. Tokens whose key
  // belongs to an issuer are asked for their audience alone.
  struct Prefixes {
    explicit Prefixes(const TokenRules& rules);
    std::string put_before(const std::string& name) const;
    std::string of_issuer, of_none;
  };

  TokenRules rules_;
  Prefixes prefixes_, first_prefixes_;
  mutable std::shared_mutex mutex_;  // held shared while a signature is verified
  std::vector<Known> keys_;
  std::map<std::string, BackendKey> backend_keys_, hashed_keys_;  // by id
  std::set<std::string> revoked_keys_;                            // ids of backend keys
  // By issuer: the names of keys that it had, or, before it was ever heard of, of those that tickets name.
  mutable std::map<std::string, std::set<std::string>> awaited_;
  std::set<std::string> heard_;                 // issuers that have said which keys they have
  mutable std::set<std::string> fingerprints_;  // of all keys, as principals name them
  std::set<std::string> issuers_;
  std::map<std::string, Revocation> revoked_users_, revoked_tokens_;
};

// A new key, and a new secret for tokens, as texts for a file.
std::string make_backend_key();
std::string make_jwt_secret();
// The id in `bk_<id>_<secret>`, or nothing.
std::string_view backend_key_id(std::string_view key);
std::string sha256_hex(std::string_view text);

}  // namespace belfry
