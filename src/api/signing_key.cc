#include "api/signing_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <boost/json.hpp>

#include "base/freed.h"

namespace belfry {
namespace {

namespace json = boost::json;

constexpr std::size_t kSecretBytesMin = 32;
constexpr int kRsaBitsMin = 2048;
constexpr std::size_t kFingerprintBytes = 7;  // a text of 14 needs no memory of its own

struct Traits {
  std::string_view name;
  std::string_view kind;  // oct, RSA, P-256, P-384, Ed25519
  const char* digest;
  bool pss;
  std::size_t signature_bytes;  // 0: as the key says
};
constexpr std::array<Traits, 12> kTraits{{{"HS256", "oct", "SHA256", false, 32},
                                          {"HS384", "oct", "SHA384", false, 48},
                                          {"HS512", "oct", "SHA512", false, 64},
                                          {"RS256", "RSA", "SHA256", false, 0},
                                          {"RS384", "RSA", "SHA384", false, 0},
                                          {"RS512", "RSA", "SHA512", false, 0},
                                          {"PS256", "RSA", "SHA256", true, 0},
                                          {"PS384", "RSA", "SHA384", true, 0},
                                          {"PS512", "RSA", "SHA512", true, 0},
                                          {"ES256", "P-256", "SHA256", false, 64},
                                          {"ES384", "P-384", "SHA384", false, 96},
                                          {"EdDSA", "Ed25519", nullptr, false, 64}}};

const Traits& traits(Algorithm algorithm) { return kTraits[static_cast<std::size_t>(algorithm)]; }

using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string_view kind_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return "RSA";
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return "Ed25519";
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") != 1) return {};
  EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, nullptr);
  const std::string_view name(group);
  return name == "prime256v1" ? "P-256" : name == "secp384r1" ? "P-384" : std::string_view{};
}

// r and s side by side (RFC 7518 section 3.4), as the DER that OpenSSL reads.
std::string to_der(std::string_view raw) {
  const std::size_t half = raw.size() / 2;
  std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> signature(ECDSA_SIG_new());
  ECDSA_SIG_set0(signature.get(), BN_bin2bn(bytes(raw), static_cast<int>(half), nullptr),
                 BN_bin2bn(bytes(raw) + half, static_cast<int>(half), nullptr));
  unsigned char* out = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &out);
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(std::max(size, 0)));
  OPENSSL_free(out);
  return der;
}

// A public key as SubjectPublicKeyInfo (RFC 5280 section 4.1).
std::string der_of(EVP_PKEY* key) {
  unsigned char* out = nullptr;
  const int size = i2d_PUBKEY(key, &out);
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(std::max(size, 0)));
  OPENSSL_free(out);
  return der;
}

EVP_PKEY* key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) key = nullptr;
  ERR_clear_error();
  return key;
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

EVP_PKEY* rsa_key(const json::object& jwk) {
  const auto n = from_base64url(text_of(jwk, "n")), e = from_base64url(text_of(jwk, "e"));
  if (!n || !e || n->empty() || e->empty()) return nullptr;
  const Number modulus(BN_bin2bn(bytes(*n), static_cast<int>(n->size()), nullptr));
  const Number exponent(BN_bin2bn(bytes(*e), static_cast<int>(e->size()), nullptr));
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), "n", modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), "e", exponent.get());
  return key_from("RSA", builder.get());
}

EVP_PKEY* ec_key(const json::object& jwk) {
  const std::string curve = text_of(jwk, "crv");
  const char* group = curve == "P-256" ? "prime256v1" : curve == "P-384" ? "secp384r1" : nullptr;
  const auto x = from_base64url(text_of(jwk, "x")), y = from_base64url(text_of(jwk, "y"));
  if (group == nullptr || !x || !y) return nullptr;
  const std::string point = "\x04" + *x + *y;
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), "group", group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), "pub", point.data(), point.size());
  return key_from("EC", builder.get());
}

EVP_PKEY* okp_key(const json::object& jwk) {
  const auto x = from_base64url(text_of(jwk, "x"));
  if (text_of(jwk, "crv") != "Ed25519" || !x) return nullptr;
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(*x), x->size());
  ERR_clear_error();
  return key;
}

}  // namespace

std::string_view name_of(Algorithm algorithm) { return traits(algorithm).name; }

std::optional<Algorithm> algorithm_of(std::string_view name) {
  for (std::size_t i = 0; i < kTraits.size(); ++i)
    if (kTraits[i].name == name) return static_cast<Algorithm>(i);
  return std::nullopt;
}

void SigningKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

std::string fingerprint_of(std::string_view key) {
  return to_hex(hmac_sha256("belfry key fingerprint", key).substr(0, kFingerprintBytes));
}

Result<SigningKey> SigningKey::from_secret(std::string secret, Algorithm algorithm) {
  if (secret.size() < kSecretBytesMin)
    return fail(Code::config_invalid, "The secret for tokens must have at least 32 bytes.",
                "auth.jwt_secret_file");
  CHECK(traits(algorithm).kind == "oct");
  SigningKey key;
  key.algorithm_ = algorithm;
  key.fingerprint_ = fingerprint_of(secret);
  key.secret_ = std::move(secret);
  return key;
}

Result<SigningKey> SigningKey::from_handle(Handle handle, std::optional<Algorithm> algorithm) {
  const std::string_view kind = handle ? kind_of(handle.get()) : std::string_view{};
  if (kind.empty()) return fail(Code::config_invalid, "The key is not RSA, P-256, P-384 or Ed25519.");
  if (kind == "RSA" && EVP_PKEY_get_bits(handle.get()) < kRsaBitsMin)
    return fail(Code::config_invalid, "An RSA key must have at least 2048 bits.");
  SigningKey key;
  for (std::size_t i = 0; i < kTraits.size() && !algorithm; ++i)
    if (kTraits[i].kind == kind) algorithm = static_cast<Algorithm>(i);
  if (traits(*algorithm).kind != kind)
    return fail(Code::config_invalid, "The key is not for " + std::string(name_of(*algorithm)) + ".");
  key.algorithm_ = *algorithm;
  key.fingerprint_ = fingerprint_of(der_of(handle.get()));
  key.key_ = std::move(handle);
  return key;
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem, std::optional<Algorithm> algorithm) {
  const std::unique_ptr<BIO, Freed<BIO_free>> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Handle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (!key) {
    const std::unique_ptr<BIO, Freed<BIO_free>> again(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const std::unique_ptr<X509, Freed<X509_free>> certificate(
        PEM_read_bio_X509(again.get(), nullptr, nullptr, nullptr));
    if (certificate) key.reset(X509_get_pubkey(certificate.get()));
  }
  ERR_clear_error();
  if (!key) return fail(Code::config_invalid, "It is not a public key or certificate in PEM.");
  return from_handle(std::move(key), algorithm);
}

bool SigningKey::verify(std::string_view message, std::string_view signature) const {
  const Traits& mine = traits(algorithm_);
  if (mine.signature_bytes != 0 && signature.size() != mine.signature_bytes) return false;
  if (mine.kind == "oct") {
    unsigned char out[EVP_MAX_MD_SIZE];
    std::size_t size = 0;
    const auto* done = EVP_Q_mac(nullptr, "HMAC", nullptr, mine.digest, nullptr, secret_.data(),
                                 secret_.size(), bytes(message), message.size(), out, sizeof out, &size);
    return done != nullptr && same_secret({reinterpret_cast<const char*>(out), size}, signature);
  }
  const std::string der = mine.kind.starts_with("P-") ? to_der(signature) : std::string(signature);
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* of_key = nullptr;
  bool good = EVP_DigestVerifyInit_ex(context.get(), &of_key, mine.digest, nullptr, nullptr, key_.get(),
                                      nullptr) == 1;
  if (good && mine.pss)
    good = EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) > 0;
  good =
      good && EVP_DigestVerify(context.get(), bytes(der), der.size(), bytes(message), message.size()) == 1;
  ERR_clear_error();
  return good;
}

Result<JwkSet> parse_jwks(std::string_view text) {
  boost::system::error_code failed;
  const json::value root = json::parse({text.data(), text.size()}, failed);
  const json::value* keys = !failed && root.is_object() ? root.as_object().if_contains("keys") : nullptr;
  if (keys == nullptr || !keys->is_array())
    return fail(Code::bad_json, "It is not a JSON Web Key Set: {\"keys\":[…]}.");
  JwkSet set;
  for (const json::value& item : keys->as_array()) {
    if (!item.is_object()) continue;
    const json::object& jwk = item.as_object();
    const std::string type = text_of(jwk, "kty"), use = text_of(jwk, "use"), named = text_of(jwk, "alg");
    const auto algorithm = algorithm_of(named);
    if ((!use.empty() && use != "sig") || (!named.empty() && !algorithm)) continue;
    if (type == "oct") {
      auto secret = from_base64url(text_of(jwk, "k"));
      if (!secret || !algorithm || traits(*algorithm).kind != "oct") continue;
      auto key = SigningKey::from_secret(std::move(*secret), *algorithm);
      if (key) set.keys.push_back({text_of(jwk, "kid"), std::move(key).value()});
      continue;
    }
    SigningKey::Handle handle(type == "RSA"   ? rsa_key(jwk)
                              : type == "EC"  ? ec_key(jwk)
                              : type == "OKP" ? okp_key(jwk)
                                              : nullptr);
    if (!handle) continue;
    auto key = SigningKey::from_handle(std::move(handle), algorithm);
    if (key) set.keys.push_back({text_of(jwk, "kid"), std::move(key).value()});
  }
  return set;
}

}  // namespace belfry
