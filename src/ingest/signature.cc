// How the schemes of signed webhooks put together what they sign.

#include <algorithm>

#include "ingest/webhook.h"

namespace belfry::ingest {
namespace {

Error invalid(std::string why) { return fail(Code::signature_invalid, std::move(why)); }

std::string_view next_word(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view word = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return word;
}

void add_hex(SignedParts& out, std::string_view text) {
  if (auto bytes = from_hex(text)) out.signatures.push_back(std::move(*bytes));
}

// Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature "v1,<base64> v1,<base64>".
SignedParts standard(const WebhookRequest& request) {
  SignedParts out;
  out.id = request.header("webhook-id");
  out.timestamp = request.header("webhook-timestamp");
  out.text = out.id + "." + out.timestamp + "." + std::string(request.body);
  std::string_view rest = request.header("webhook-signature");
  while (!rest.empty()) {
    std::string_view word = next_word(rest, ' ');
    if (!word.starts_with("v1,")) continue;
    if (auto bytes = from_base64(word.substr(3))) out.signatures.push_back(std::move(*bytes));
  }
  return out;
}

// Stripe-Signature: t=<seconds>,v1=<hex>,v1=<hex>
SignedParts stripe(const WebhookRequest& request) {
  SignedParts out;
  std::string_view rest = request.header("stripe-signature");
  while (!rest.empty()) {
    const std::string_view word = next_word(rest, ',');
    if (word.starts_with("t=")) out.timestamp = word.substr(2);
    if (word.starts_with("v1=")) add_hex(out, word.substr(3));
  }
  out.text = out.timestamp + "." + std::string(request.body);
  return out;
}

}  // namespace

Result<SignedParts> signed_parts(std::string_view scheme, const WebhookRequest& request) {
  SignedParts out;
  if (scheme == "standard") {
    out = standard(request);
    if (out.id.empty()) return invalid("The header webhook-id is missing.");
  } else if (scheme == "stripe") {
    out = stripe(request);
  } else if (scheme == "slack") {
    out.timestamp = request.header("x-slack-request-timestamp");
    out.text = "v0:" + out.timestamp + ":" + std::string(request.body);
    const std::string_view given = request.header("x-slack-signature");
    if (given.starts_with("v0=")) add_hex(out, given.substr(3));
  } else {
    out.text = request.body;
    const std::string_view given = request.header("x-hub-signature-256");
    if (given.starts_with("sha256=")) add_hex(out, given.substr(7));
  }
  if (out.signatures.empty())
    return invalid("There is no signature of the scheme " + std::string(scheme) + ".");
  if (scheme != "github" && out.timestamp.empty()) return invalid("The signature names no time.");
  return out;
}

}  // namespace belfry::ingest
