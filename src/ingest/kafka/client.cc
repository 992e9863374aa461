#include "ingest/kafka/client.h"

#include <unistd.h>

namespace belfry::ingest::kafka {
namespace {

Result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char reason[512];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason, sizeof reason) == RD_KAFKA_CONF_OK)
    return {};
  return fail(Code::config_invalid, without_credentials(reason), "properties");
}

void quiet(const rd_kafka_t*, int level, const char* facility, const char* text) {
  if (level <= 4) log_debug("kafka", {{"facility", facility}, {"text", without_credentials(text)}});
}

}  // namespace

void Destroy::operator()(rd_kafka_t* client) const {
  rd_kafka_consumer_close(client);
  rd_kafka_destroy(client);
}

Error wrong(rd_kafka_resp_err_t error, const std::string& doing) {
  return fail(Code::source_failed, doing + ": " + rd_kafka_err2str(error));
}

Result<Conf> make_conf(const SourceConfig& config) {
  Conf conf(rd_kafka_conf_new());
  // What the driver relies on comes last, so that no property of the configuration undoes it.
  TRY(set(conf.get(), "client.id", "belfry"));
  TRY(set(conf.get(), "queued.max.messages.kbytes", "16384"));
  TRY(set(conf.get(), "fetch.wait.max.ms", "100"));
  // Who died is missed after 10 s; who comes back under its own name (static membership, KIP-345) at once.
  TRY(set(conf.get(), "session.timeout.ms", "10000"));
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const std::string member = config.text("member").empty() ? host : config.text("member");
  if (member != "none") TRY(set(conf.get(), "group.instance.id", "belfry-" + config.name + "-" + member));
  for (const std::string& property : config.list("properties")) {
    const auto equals = property.find('=');  // there is one: complete()
    TRY(set(conf.get(), property.substr(0, equals), property.substr(equals + 1)));
  }
  if (const std::string user = config.text("username"); !user.empty())
    TRY(set(conf.get(), "sasl.username", user));
  const std::string password = TRY(config.secret("password"));
  if (!password.empty()) TRY(set(conf.get(), "sasl.password", password));
  TRY(set(conf.get(), "bootstrap.servers", config.text("brokers")));
  TRY(set(conf.get(), "group.id", config.text("group")));
  TRY(set(conf.get(), "enable.auto.commit", "false"));
  TRY(set(conf.get(), "enable.auto.offset.store", "false"));
  TRY(set(conf.get(), "auto.offset.reset", "error"));
  rd_kafka_conf_set_log_cb(conf.get(), quiet);
  return conf;
}

}  // namespace belfry::ingest::kafka
