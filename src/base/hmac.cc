#include "base/hmac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/check.h"

namespace belfry {

std::string hmac_sha256(std::string_view secret, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  const auto* done =
      EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, secret.data(), secret.size(),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, sizeof out, &size);
  CHECK(done != nullptr);
  return {reinterpret_cast<const char*>(out), size};
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace belfry
