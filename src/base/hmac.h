#pragma once
// HMAC-SHA256 (RFC 2104), for tickets, tokens and signed webhooks; and the one way to compare secrets, or
// what is made of them. Any thread.

#include <string>
#include <string_view>

namespace belfry {

// 32 bytes.
std::string hmac_sha256(std::string_view secret, std::string_view text);
// Takes the same time wherever two texts of the same length differ.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace belfry
