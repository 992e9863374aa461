// Signed webhooks: what is signed with the secret passes, nothing else does.
#include "webhook_harness.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* kSchemes[] = {"standard", "stripe", "github", "slack"};
  static const std::unique_ptr<ingest::Webhook> webhooks[] = {
      fuzz::webhook("webhook", kSchemes[0]), fuzz::webhook("webhook", kSchemes[1]),
      fuzz::webhook("webhook", kSchemes[2]), fuzz::webhook("webhook", kSchemes[3])};
  fuzz::Input input(data, size);
  const auto choice = input.byte();
  const std::size_t scheme = choice % 4;
  auto headers = fuzz::headers_of(input);
  const Timestamp now{Duration{1'790'000'000'000}};
  ingest::WebhookRequest request{"POST", headers, {}, input.rest(), now};
  // Without knowing the secret nobody gets through.
  const auto answer = webhooks[scheme]->take(request);
  CHECK(!answer);
  // The same, signed: only the body and the time may be wrong with it.
  const auto parts = ingest::signed_parts(kSchemes[scheme], request);
  if (!parts) return 0;
  const std::string hex = to_hex(hmac_sha256(fuzz::webhook_secret, parts.value().text));
  const std::string& time = parts.value().timestamp;
  if (scheme == 0)
    headers.emplace(headers.begin(), "webhook-signature",
                    "v1," + to_base64(hmac_sha256(fuzz::webhook_secret, parts.value().text)));
  if (scheme == 1) headers.emplace(headers.begin(), "stripe-signature", "t=" + time + ",v1=" + hex);
  if (scheme == 2) headers.emplace(headers.begin(), "x-hub-signature-256", "sha256=" + hex);
  if (scheme == 3) headers.emplace(headers.begin(), "x-slack-signature", "v0=" + hex);
  request.headers = headers;
  const auto good = webhooks[scheme]->take(request);
  const bool in_time = scheme == 2 || (time.size() == 10 && time >= "1789999700" && time <= "1790000300");
  if (!good && good.error().code == Code::signature_invalid)
    CHECK(!in_time || time.find_first_not_of("0123456789") != std::string::npos);
  return 0;
}
