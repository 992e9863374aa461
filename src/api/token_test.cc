#include "api/token.h"

#include <gtest/gtest.h>

#include "api/keyring.h"

namespace belfry {
namespace {

const std::string kSecret(32, 's');
const Timestamp kNow{Duration{1'790'000'000'000}};

TokenClaims claims() { return {"ana", {}, {}, kNow, kNow + std::chrono::hours(1), "t1"}; }

// A token with any header and claims, signed as mint_token signs.
std::string forge(std::string_view header, std::string_view body) {
  const std::string good = mint_token(claims(), kSecret);
  (void)good;
  return to_base64url(header) + "." + to_base64url(body) + ".";
}

TEST(Token, WhatIsMintedIsAccepted) {
  auto wanted = claims();
  auto principal = verify_token(mint_token(wanted, kSecret), kSecret, kNow);
  ASSERT_TRUE(principal) << principal.error().text();
  EXPECT_EQ(principal.value().user, "ana");
  EXPECT_EQ(principal.value().rights.subscribe, std::vector<std::string>{"users/ana"});
  wanted.subscribe = {"bookings/+"};
  wanted.publish = {"chat/1"};
  principal = verify_token(mint_token(wanted, kSecret), kSecret, kNow);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal.value().rights.subscribe, std::vector<std::string>{"bookings/+"});
  EXPECT_EQ(principal.value().rights.publish, std::vector<std::string>{"chat/1"});
}

TEST(Token, ExpiryIsExact) {
  const std::string token = mint_token(claims(), kSecret);
  EXPECT_TRUE(verify_token(token, kSecret, kNow + (std::chrono::hours(1) - Duration{1})));
  const auto expired = verify_token(token, kSecret, kNow + std::chrono::hours(1));
  EXPECT_EQ(expired.error().code, Code::token_expired);
  EXPECT_FALSE(verify_token(token, kSecret, kNow + -std::chrono::hours(1))) << "issued in the future";
}

TEST(Token, EveryChangedCharacterIsNoticed) {
  const std::string token = mint_token(claims(), kSecret);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_token(other, kSecret, kNow)) << i;
  }
}

TEST(Token, ForgedOnesAreRefused) {
  const std::string body = R"({"sub":"ana","exp":1890000000})";
  const std::string good = mint_token(claims(), kSecret);
  const std::string signature = good.substr(good.rfind('.') + 1);
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"HS512"})", R"({"alg":"RS256"})", R"({})",
        R"({"alg":7})", R"([])", R"({"alg":"HS256","crit":["x"]})", "nonsense"}) {
    for (const std::string& tail : {std::string(), signature}) {
      const auto refused = verify_token(forge(header, body) + tail, kSecret, kNow);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Code::token_invalid);
    }
  }
  for (const std::string& text :
       {std::string(), std::string("a.b"), std::string("a.b.c.d"), std::string("..."),
        std::string(10'000, 'a'), good + ".x", good + "=", "." + good})
    EXPECT_FALSE(verify_token(text, kSecret, kNow));
  EXPECT_FALSE(verify_token(good, std::string(32, 'x'), kNow));
}

TEST(Token, ANameThatStandsTwiceIsRefusedHoweverDeep) {
  const auto token = [](const std::string& more) {
    const std::string body = R"({"sub":"ana","exp":1890000000,)" + more + "}";
    const std::string text = to_base64url(R"({"alg":"HS256"})") + '.' + to_base64url(body);
    return text + '.' + to_base64url(hmac_sha256(kSecret, text));
  };
  EXPECT_TRUE(verify_token(token(R"("x":[{"a":1},{"a":2}])"), kSecret, kNow));
  for (const char* more : {R"("sub":"bob")", R"("x":{"a":1,"a":2})", R"("x":[{"a":1,"a":2}])",
                           R"("x":[[{"b":[1,{"a":1,"a":1}]}]])"})
    EXPECT_FALSE(verify_token(token(more), kSecret, kNow)) << more;
}

// Whoever gets in can be erased, and the token be taken back: DELETE /v1/users/{id}, POST /v1/revocations.
TEST(Token, WhatNoBackendCouldNameIsRefused) {
  const auto verified = [](std::string subject, std::string id) {
    TokenClaims wanted = claims();
    wanted.subject = std::move(subject);
    wanted.id = std::move(id);
    return verify_token(mint_token(wanted, kSecret), kSecret, kNow);
  };
  EXPECT_TRUE(verified(std::string(200, 'u'), std::string(255, 'j')));
  EXPECT_TRUE(verified("Jos\xc3\xa9 +#/%\n", ""));
  for (const std::string& subject :
       {std::string(), std::string(201, 'u'), std::string(249, 'u'), std::string(1, '\0'),
        std::string("ana\0", 4), std::string("a\0b", 3)}) {
    const auto refused = verified(subject, "t1");
    ASSERT_FALSE(refused) << subject;
    EXPECT_EQ(refused.error().code, Code::token_invalid);
    EXPECT_NE(refused.error().detail.find("sub"), std::string::npos);
  }
  const auto refused = verified("ana", std::string(256, 'j'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::token_invalid);
  EXPECT_NE(refused.error().detail.find("jti"), std::string::npos);
}

TEST(Keyring, BackendKeysAndTokens) {
  EXPECT_FALSE(SigningKey::from_secret("short"));
  Keyring keyring;
  keyring.add_key(std::move(SigningKey::from_secret(kSecret)).value());
  const std::string key = make_backend_key();
  ASSERT_TRUE(keyring.add_backend_key(key));
  EXPECT_FALSE(keyring.add_backend_key("bk_x_short"));
  EXPECT_FALSE(keyring.add_backend_key("nonsense"));
  const auto backend = keyring.authenticate(key, kNow);
  ASSERT_TRUE(backend);
  EXPECT_TRUE(backend.value().name.starts_with("backend:"));
  EXPECT_TRUE(authorize(backend.value().rights, Act::publish, "any/topic"));
  EXPECT_EQ(keyring.authenticate(make_backend_key(), kNow).error().code, Code::token_invalid);
  EXPECT_EQ(keyring.authenticate("", kNow).error().code, Code::unauthenticated);
  EXPECT_TRUE(keyring.authenticate(mint_token(claims(), kSecret), kNow));
  EXPECT_GE(make_jwt_secret().size(), 32u);
}

// A token of the user bob.
std::string token_of(const std::string& issuer, const std::string& secret) {
  const std::string body = R"({"sub":"bob","exp":9999999999,"iss":")" + issuer + "\"}";
  const std::string text = to_base64url(R"({"alg":"HS256"})") + '.' + to_base64url(body);
  return text + '.' + to_base64url(hmac_sha256(secret, text));
}

struct KeyringRights : ::testing::Test {
  Keyring keyring;
  std::vector<std::string> gone;
  Principal ana;

  KeyringRights() {
    keyring.on_keys_gone = [this](const auto& fingerprints) {
      gone.insert(gone.end(), fingerprints.begin(), fingerprints.end());
    };
    keyring.add_key(std::move(SigningKey::from_secret(kSecret)).value());
    ana = keyring.authenticate(mint_token(claims(), kSecret), kNow).value();
  }
  Code check(const Principal& principal, Timestamp now = kNow) {
    const auto checked = keyring.check(principal, now);
    return checked ? Code::internal : checked.error().code;  // internal: it stands
  }
  // The configuration is read again, with this secret.
  void reload(const std::string& secret) {
    Keyring fresh;
    fresh.add_key(std::move(SigningKey::from_secret(secret)).value());
    keyring.take_configured(std::move(fresh));
  }
};

TEST_F(KeyringRights, AnyRevocationOnlyGrowsStronger) {
  EXPECT_EQ(check(ana), Code::internal);
  const std::string user = ana.user;
  keyring.revoke({user, {}, ana.issued, kNow + Duration{100}});
  EXPECT_EQ(check(ana), Code::token_revoked);
  keyring.revoke({user, {}, ana.issued + Duration{-5000}, kNow + Duration{50}});
  EXPECT_EQ(check(ana), Code::token_revoked);
  keyring.forget_revocations(kNow + Duration{99});
  EXPECT_EQ(check(ana), Code::token_revoked);
  keyring.forget_revocations(kNow + Duration{100});
  EXPECT_EQ(check(ana), Code::internal);
}

TEST_F(KeyringRights, EndWithTheirTime) {
  ASSERT_TRUE(ana.expires);
  EXPECT_EQ(check(ana, *ana.expires), Code::token_expired);
}

TEST_F(KeyringRights, EndWithTheKeyThatVouchedForThem) {
  const std::string before = ana.key;
  reload(kSecret);
  EXPECT_TRUE(gone.empty()) << "the same key, read again";
  reload(std::string(32, 'n'));
  EXPECT_EQ(gone, std::vector<std::string>{before});
  EXPECT_EQ(check(ana), Code::token_revoked);
}

TEST_F(KeyringRights, EndWithTheRulesThatLetThemIn) {
  const std::string key = "bk_one_" + std::string(32, '1');
  const auto reload_with = [&](const TokenRules& rules) {
    Keyring fresh(rules);
    fresh.add_key(std::move(SigningKey::from_secret(kSecret)).value());
    ASSERT_TRUE(fresh.add_backend_key(key));
    keyring.take_configured(std::move(fresh));
  };
  reload_with({});
  const Principal backend = keyring.authenticate(key, kNow).value();
  EXPECT_EQ(check(ana), Code::internal);
  for (const TokenRules& rules : {TokenRules{"app", {}}, TokenRules{{}, "app"}}) {
    reload_with({});
    gone.clear();
    reload_with(rules);
    EXPECT_EQ(check(ana), Code::token_revoked);
    EXPECT_EQ(gone, std::vector<std::string>{ana.key});
    EXPECT_EQ(check(backend), Code::internal) << "no rule is about a backend";
  }
}

TEST_F(KeyringRights, OfABackendEndWithItsKeyThoughTheIdStays) {
  const std::string first = "bk_one_" + std::string(32, '1'), second = "bk_one_" + std::string(32, '2');
  const auto only = [](const std::string& key) {
    return std::map<std::string, std::string>{{"one", *from_hex(sha256_hex(key))}};
  };
  keyring.set_hashed_keys(only(first), {});
  const Principal backend = keyring.authenticate(first, kNow).value();
  EXPECT_EQ(check(backend), Code::internal);
  keyring.set_hashed_keys(only(second), {});
  EXPECT_EQ(check(backend), Code::token_revoked);
  EXPECT_EQ(gone, std::vector<std::string>{backend.key});
}

TEST_F(KeyringRights, OfABackendEndWhenItsIdIsRevokedThoughItIsConfigured) {
  const std::string key = "bk_one_" + std::string(32, '1'), other = "bk_two_" + std::string(32, '2');
  ASSERT_TRUE(keyring.add_backend_key(key));
  ASSERT_TRUE(keyring.add_backend_key(other));
  const Principal backend = keyring.authenticate(key, kNow).value();
  keyring.set_hashed_keys({}, {"one"});
  EXPECT_EQ(keyring.authenticate(key, kNow).error().code, Code::token_revoked);
  EXPECT_EQ(check(backend), Code::token_revoked);
  EXPECT_EQ(gone, std::vector<std::string>{backend.key}) << "its streams end";
  EXPECT_TRUE(keyring.authenticate(other, kNow));
  Keyring fresh;
  ASSERT_TRUE(fresh.add_backend_key(key));
  keyring.take_configured(std::move(fresh));
  EXPECT_FALSE(keyring.authenticate(key, kNow)) << "the configuration is read again";
}

// It was let in by a clock that was ahead. A clock that is behind takes nothing of a user without a
// revocation.
TEST_F(KeyringRights, DatedInTheFutureEndWithAnyRevocationOfTheUser) {
  const Timestamp skewed = ana.issued + -limits::token_skew;
  EXPECT_EQ(check(ana, skewed + Duration{-1}), Code::internal);
  keyring.revoke({ana.user, {}, ana.issued + -std::chrono::hours(1), kNow + Duration{100}});
  EXPECT_EQ(check(ana, skewed + Duration{-1}), Code::token_revoked);
  EXPECT_EQ(check(ana, skewed), Code::internal) << "an issuer's clock may be ahead a little";
}

TEST_F(KeyringRights, ReachWhatWasScheduled) {
  const auto of = [&](const Principal& principal) {
    Scheduled out;
    out.principal = principal.name;
    out.issued = principal.issued;
    out.token_id = principal.token_id;
    return out;
  };
  EXPECT_TRUE(keyring.stands(of(ana)));
  keyring.revoke({ana.user, {}, ana.issued, kNow + Duration{100}});
  EXPECT_FALSE(keyring.stands(of(ana)));
  Scheduled undated = of(ana);
  undated.issued = Timestamp{Duration{9'007'199'254'740'991}};
  EXPECT_TRUE(keyring.stands(undated)) << "an earlier version kept no date: any revocation may be older";
  Principal bob{"user:bob", "bob", {}, {}, kNow, "jti"};
  EXPECT_TRUE(keyring.stands(of(bob)));
  keyring.revoke({{}, "jti", kNow, kNow + Duration{100}});
  EXPECT_FALSE(keyring.stands(of(bob)));
  const Principal backend{"backend:one", {}, {}, {}};
  EXPECT_TRUE(keyring.stands(of(backend))) << "nobody revoked it";
  keyring.set_hashed_keys({}, {"one"});
  EXPECT_FALSE(keyring.stands(of(backend)));
}

TEST(Jwks, WhatIsNoKeyOfOursIsPassedOver) {
  const std::string good = R"({"kty":"OKP","crv":"Ed25519","kid":"good","x":")" +
                           to_base64url(std::string(32, 'x')) + R"("})";
  const std::string others[] = {"1",
                                "{}",
                                R"({"kty":"none"})",
                                R"({"kty":"EC","crv":"P-1","x":"","y":""})",
                                R"({"kty":"RSA","n":"","e":""})",
                                R"({"kty":"OKP","crv":"X25519","x":"AA"})"};
  std::string text = R"({"keys":[)";
  for (const std::string& other : others) text += other + ',';
  const auto set = parse_jwks(text + good + "]}");
  ASSERT_TRUE(set);
  ASSERT_EQ(set.value().keys.size(), 1u);
  EXPECT_EQ(set.value().keys[0].kid, "good");
}

// Until an issuer has answered it is not known who its keys are. That is nobody else's matter.
TEST_F(KeyringRights, OfAnIssuerThatWasNotHeardOfAreLeftAndNoOthers) {
  const auto answer = [](const std::string& secret) {
    JwkSet set;
    set.keys.push_back({"", std::move(SigningKey::from_secret(secret)).value()});
    return set;
  };
  const std::string theirs(32, 't'), issuer = "https://issuer";
  keyring.set_issuer_keys(issuer, answer(theirs));
  const Principal bob = keyring.authenticate(token_of(issuer, theirs), kNow).value();
  keyring.await_issuer(issuer);
  EXPECT_EQ(check(bob), Code::internal);
  EXPECT_TRUE(gone.empty()) << "silence takes nothing back";
  Keyring fresh;
  fresh.add_key(std::move(SigningKey::from_secret(std::string(32, 'n'))).value());
  fresh.await_issuer(issuer);
  keyring.take_configured(std::move(fresh));
  EXPECT_EQ(check(ana), Code::token_revoked) << "hers is another key";
  EXPECT_EQ(check(bob), Code::internal);
  EXPECT_EQ(gone, std::vector<std::string>{ana.key});
  keyring.set_issuer_keys(issuer, {});
  EXPECT_EQ(check(bob), Code::token_revoked) << "it has said that it has none";
  EXPECT_EQ(std::count(gone.begin(), gone.end(), bob.key), 1);
  keyring.set_issuer_keys(issuer, answer(theirs));
  EXPECT_EQ(check(bob), Code::internal);
  Keyring other;
  other.set_issuer_keys(issuer, answer(std::string(32, 'o')));
  keyring.take_configured(std::move(other));
  EXPECT_EQ(check(bob), Code::token_revoked) << "it is configured with other keys";
}

// What a ticket names counts until the issuer says otherwise, or the rules do.
TEST_F(KeyringRights, OfAnIssuerThatWasNeverHeardOfEndWithItsWordOrOtherRules) {
  const std::string issuer = "https://issuer", secret(32, 't');
  const auto answer = [&] {
    JwkSet set;
    set.keys.push_back({"", std::move(SigningKey::from_secret(secret)).value()});
    return set;
  };
  keyring.set_issuer_keys(issuer, answer());
  const Principal bob = keyring.authenticate(token_of(issuer, secret), kNow).value();
  const auto reload_with = [&](const TokenRules& rules) {
    Keyring fresh(rules);
    fresh.await_issuer(issuer);
    keyring.take_configured(std::move(fresh));
  };
  reload_with({{}, "who"});
  EXPECT_EQ(check(bob), Code::internal) << "that rule is for keys of no issuer";
  reload_with({"app", {}});
  EXPECT_EQ(check(bob), Code::token_revoked);
  reload_with({});
  EXPECT_EQ(check(bob), Code::internal);
  keyring.set_issuer_keys(issuer, {});
  keyring.await_issuer(issuer);
  EXPECT_EQ(check(bob), Code::token_revoked) << "silence gives nothing back";
  reload_with({});
  EXPECT_EQ(check(bob), Code::token_revoked);

  for (const bool by_rules : {false, true}) {
    gone.clear();
    Keyring started;
    started.on_keys_gone = keyring.on_keys_gone;
    started.await_issuer(issuer);
    EXPECT_TRUE(started.check(bob, kNow));
    EXPECT_TRUE(gone.empty());
    if (by_rules) {
      Keyring fresh(TokenRules{"app", {}});
      fresh.await_issuer(issuer);
      started.take_configured(std::move(fresh));
    } else {
      started.set_issuer_keys(issuer, {});
    }
    EXPECT_EQ(gone, std::vector<std::string>{bob.key}) << "its stream ends";
    EXPECT_FALSE(started.check(bob, kNow));
  }
}

// Tickets of before name a key alone.
TEST_F(KeyringRights, AreOfTheFirstRulesWhereNoneAreNamed) {
  const std::string backend_key = "bk_one_" + std::string(32, '1');
  ASSERT_TRUE(keyring.add_backend_key(backend_key));
  Principal old = ana, backend = keyring.authenticate(backend_key, kNow).value();
  old.key = ana.key.substr(ana.key.find('/') + 1);
  EXPECT_EQ(check(old), Code::token_revoked);
  const std::string of_backend = backend.key;
  for (Principal* each : {&old, &backend}) {
    keyring.complete(*each);
    EXPECT_EQ(check(*each), Code::internal);
  }
  EXPECT_EQ(old.key, ana.key) << "its streams end with the key";
  EXPECT_EQ(backend.key, of_backend);
  Keyring fresh(TokenRules{"app", {}});
  fresh.add_key(std::move(SigningKey::from_secret(kSecret)).value());
  keyring.take_configured(std::move(fresh));
  old.key = ana.key.substr(ana.key.find('/') + 1);
  keyring.complete(old);
  EXPECT_EQ(check(old), Code::token_revoked) << "it was made before";
}

}  // namespace
}  // namespace belfry
