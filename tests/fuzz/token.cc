// Tokens and tickets: nothing that was not signed with the key is let in, whatever it says.
#include "api/keyring.h"
#include "api/ticket.h"
#include "fuzz.h"

using namespace belfry;

namespace {

const std::string secret(32, 'k');
const Timestamp now{std::chrono::seconds(1'800'000'000)};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = input.below(4);
  if (kind == 0) {
    // Every signature counts: the claims are all that can be wrong.
    const auto any = [](const TokenHint& hint, std::string_view, std::string_view) {
      CHECK(hint.kid.size() <= limits::kid_bytes_max);
      return true;
    };
    (void)verify_token(input.rest(), any, {}, now);
  } else if (kind == 1) {
    // The two parts as plain text, so that the fuzzer need not find base64url.
    const std::string head = to_base64url(input.line());
    const std::string body = to_base64url(input.rest());
    const std::string text = head + "." + body;
    const std::string token = text + "." + to_base64url(hmac_sha256(secret, text));
    const auto principal = verify_token(token, secret, now);
    if (principal) CHECK(!principal.value().user.empty() && principal.value().expires);
  } else if (kind == 2) {
    CHECK(!verify_token(input.rest(), secret, now));
  } else {
    CHECK(!read_ticket(input.rest(), secret, now));
  }
  return 0;
}
