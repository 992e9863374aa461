#pragma once
// Text encodings that several rooms need: hexadecimal, base64url (RFC 4648 section 5, without padding),
// UTF-8.

#include <optional>
#include <string>
#include <string_view>

namespace belfry {

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);
std::string to_base64url(std::string_view bytes);
std::string to_base64(std::string_view bytes);
// Strict: no padding, no other alphabet, no stray trailing bits.
std::optional<std::string> from_base64url(std::string_view text);
// Either alphabet, with padding or without: what others send.
std::optional<std::string> from_base64(std::string_view text);
// Appends a JSON string: quotes, and escapes for '"', '\', control characters and DEL. REQUIRES: UTF-8.
void append_json_string(std::string& out, std::string_view text);
// RFC 3629: no overlong forms, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view text);

// Escapes every byte that is neither a letter, a digit nor one of `plain`.
std::string percent_encode(std::string_view text, std::string_view plain);

}  // namespace belfry
