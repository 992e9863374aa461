#pragma once
// A certificate of one's own, for development.

#include <string>
#include <vector>

#include "base/base.h"

namespace belfry::net {

struct PemPair {
  std::string certificate, key;
};

// Self-signed, EC P-256, good from a day before `now` for `days` days, for these DNS names and IP addresses
// (RFC 5280 section 4.2.1.6).
Result<PemPair> make_certificate(const std::vector<std::string>& names, Timestamp now, int days);

// SHA-256 of the first certificate in the text, in pairs of hex digits: what a browser shows. Empty if
// there is none.
std::string certificate_fingerprint(const std::string& pem);

}  // namespace belfry::net
