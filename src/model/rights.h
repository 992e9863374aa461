#pragma once
// What a principal may do, and the one function that decides it: asked at subscribe, at publish, and again
// for every subscription of a session when its rights change.
//
// Values; any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"
#include "model/event.h"

namespace belfry {

struct Rights {
  std::vector<std::string> subscribe;  // patterns
  std::vector<std::string> publish;    // patterns
};

// Who speaks: a user by token, or a backend by key.
struct Principal {
  std::string name;  // "user:<sub>" or "backend:<key id>"; scopes idempotency keys
  std::string user;  // the user id, empty for a backend
  Rights rights;
  std::optional<Timestamp> expires;
  Timestamp issued{};      // of the token
  std::string token_id{};  // its `jti`; empty: none
  std::string key{};       // fingerprint of the key that vouches for it
};

// Tokens that count no more, though their time is not up: all of a user that were issued up to
// `not_before`, or the one with this id.
struct Revocation {
  std::string user;      // or
  std::string token_id;  // this one
  Timestamp not_before;
  Timestamp forget;  // no token can be concerned any more
};

// By what a session can be found when its token is revoked: keyed hashes, because only equality is asked.
struct Credential {
  std::uint64_t user = 0;   // 0: none
  std::uint64_t token = 0;  // 0: none
  std::uint64_t key = 0;    // 0: none
  Timestamp issued;
};
Credential credential_of(const Principal& principal);
// `now`: of the revocation. What was let in before and is dated later than a token may be then, was dated by
// a clock that was ahead: it is older than the revocation, whatever it says.
bool concerns(const Revocation& revocation, const Credential& credential, Timestamp now);

enum class Act { subscribe, publish };

// Whether the rights grant the act on every topic that `pattern` matches (a topic is a pattern that matches
// itself). One granted pattern must cover it whole; unions are not searched. Otherwise Code::forbidden,
// naming the pattern.
Result<void> authorize(const Rights& rights, Act act, std::string_view pattern);

// Whether they grant publishing all of these; the error's field names the first that is not.
Result<void> authorize_events(const Rights& rights, std::span<const Event> events);

// What a user may do whose token makes no claim: subscribe to users/<id> alone, publish nothing.
Rights default_rights(std::string_view user);

}  // namespace belfry
