#pragma once
// Tickets, for clients that cannot set headers (native EventSource): one stream, asked for beforehand, in a
// text that may stand in a URL. Signed with a secret of this server's data folder, so nothing is stored.
// Any thread.

#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry {

struct Ticket {
  std::string id;
  Timestamp made;
  Principal principal;  // whose rights and expiry it has
  std::vector<std::string> topics, types;
  bool feed = false;
};

std::string write_ticket(const Ticket& ticket, std::string_view secret);
// Code::token_invalid, or token_expired.
Result<Ticket> read_ticket(std::string_view text, std::string_view secret, Timestamp now);

// The cookie of this name in a Cookie header (RFC 6265 section 4.2.1), or nothing.
std::string_view cookie_in(std::string_view header, std::string_view name);

}  // namespace belfry
