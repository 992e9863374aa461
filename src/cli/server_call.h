#pragma once
// What commands that talk to a server have in common.

#include <string>

#include "cli/cli.h"
#include "net/net.h"

namespace belfry::cli {

// The token or key to present, from the file that was named or from a dev server's data folder.
Result<std::string> credentials_of(const ServerChoice& server);

// The certificates to trust beside the system's.
std::string ca_file_of(const ServerChoice& server);

// One request with those credentials; a body is JSON.
Result<net::Response> call(const ServerChoice& server, std::string_view method, const std::string& path,
                           std::string body);

// Prints a refusal in the catalogue's form and gives its exit code.
int tell_refusal(const net::Response& response);

}  // namespace belfry::cli
