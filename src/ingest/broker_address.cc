#include "ingest/broker_address.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace belfry::ingest {

Result<BrokerAddress> broker_address(std::string_view url) {
  const auto invalid = [](std::string why) { return fail(Code::config_invalid, std::move(why), "url"); };
  const auto parsed = boost::urls::parse_uri(url);
  if (!parsed || (parsed->scheme() != "mqtt" && parsed->scheme() != "mqtts") || parsed->host().empty())
    return invalid("The URL is mqtt://host:port or mqtts://host:port.");
  if (parsed->has_userinfo()) return invalid("User and password have settings of their own.");
  if ((!parsed->path().empty() && parsed->path() != "/") || parsed->has_query() || parsed->has_fragment())
    return invalid("The URL has nothing behind the port.");
  if (parsed->has_port() && parsed->port_number() == 0) return invalid("The port is not one.");
  BrokerAddress out;
  out.tls = parsed->scheme() == "mqtts";
  out.host = parsed->host_address();
  out.port = parsed->has_port() ? parsed->port_number() : out.tls ? 8883 : 1883;
  return out;
}

}  // namespace belfry::ingest
