// JSON Web Key Sets and PEM keys.
#include "api/signing_key.h"
#include "fuzz.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.below(4) == 0) {
    (void)SigningKey::from_pem(input.rest(), std::nullopt);
    return 0;
  }
  const auto set = parse_jwks(input.rest());
  if (!set) return 0;
  for (const auto& entry : set.value().keys) (void)entry.key.verify("message", "signature");
  return 0;
}
