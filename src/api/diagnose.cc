// GET /v1/diagnose: why a client cannot connect, said where a browser can read it. Open to every origin and
// without secrets: what it tells of a token is what its holder knows, or may know.

#include <algorithm>

#include "api/api_routes.h"

namespace belfry {
namespace {

std::string shown(std::string_view text) {
  const bool fits = text.size() <= limits::topic_bytes_max && is_utf8(text);
  return fits ? std::string(text) : std::string();
}

}  // namespace

void Api::get_diagnose(net::Exchange& exchange, const Arguments&) {
  const net::Request& request = exchange.request();
  const Load load = parts_.admission.load();
  std::vector<wire::Finding> findings;
  findings.push_back({"server", {}, {}});
  if (!parts_.ready) findings.back().error = fail(Code::shutting_down);
  if (load >= Load::refusing) findings.back().error = parts_.admission.with_retry(fail(Code::overloaded));
  if (const auto origin = request.header("origin")) {
    findings.push_back({"origin", shown(*origin), {}});
    if (!is_allowed(*origin) && !is_same_origin(request, *origin))
      findings.back().error = fail(Code::origin_not_allowed, {}, "http.allowed_origins");
  }
  const auto principal = principal_of(request);
  findings.push_back({"token", principal ? principal.value().user : std::string(), {}});
  if (!principal) findings.back().error = principal.error();
  const auto topics = request.parameters("topic");
  for (std::size_t i = 0; principal && i < std::min(topics.size(), limits::stream_topics_max); ++i) {
    Wish wish{{std::string(topics[i])}, {}, {}, false};
    findings.push_back({"topic", shown(topics[i]), {}});
    if (auto checked = check_selectors(wish, principal.value()); !checked)
      findings.back().error = checked.error();
  }
  net::Response response = json_response(200, wire::diagnose_answer(findings));
  response.headers.emplace_back("Access-Control-Allow-Origin", "*");
  exchange.respond(std::move(response));
}

}  // namespace belfry
