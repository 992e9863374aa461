#include "ingest/kinds.h"

#include <algorithm>

#include "ingest/broker_address.h"
#include "ingest/webhook.h"

namespace belfry::ingest {
namespace {

const SettingInfo kUrl{"url", "postgres://user@host:port/database; the password better in password_file.",
                       false, false};
const SettingInfo kUrlFile{"url_file", "File with the URL instead.", false, false};
const SettingInfo kPasswordFile{"password_file", "File with the password.", false, false};
const SettingInfo kSecretFiles{"secret_files",
                               "Files with one secret each; any of them counts, so that they can "
                               "be changed.",
                               true, true};

// Each: name, module, explanation, is it a webhook, settings.
std::vector<SourceKind> database_kinds() {
  return {{"postgres-outbox",
           "postgres",
           "What the application published in its own transactions.",
           false,
           {kUrl,
            kUrlFile,
            kPasswordFile,
            {"schema", "Schema that 'belfry source install postgres' made.", false, false, "belfry"},
            {"begin",
             "Without a position: what was never taken over, or also what is still kept.",
             false,
             false,
             "now",
             {"now", "earliest"}}}},
          {"postgres-table",
           "postgres",
           "The new rows of a table that only grows.",
           false,
           {kUrl,
            kUrlFile,
            kPasswordFile,
            {"table", "The table, with its schema: public.bookings.", true, false},
            {"id", "Its column of growing numbers.", false, false, "id"},
            {"columns", "The columns to read.", false, true, "*"},
            {"begin", "Rows from now on, or all.", false, false, "now", {"now", "earliest"}},
            {"id_slack", "Ids that may be handed out long before they are used, as by a cached sequence.",
             false, false, "0"}}},
          {"postgres-changes",
           "postgres",
           "Inserts, updates and deletes, by logical replication.",
           false,
           {kUrl,
            kUrlFile,
            kPasswordFile,
            {"tables", "The tables, each with its schema.", false, true},
            {"slot", "Replication slot; made at the first start [belfry_<name>].", false, false},
            {"publication", "Publication; made at the first start [belfry_<name>].", false, false},
            {"message_prefix", "Of pg_logical_emit_message; its content is a publish body.", false, false,
             "belfry"}}}};
}

std::vector<SourceKind> broker_kinds() {
  return {
      {"kafka",
       "kafka",
       "Records of Kafka topics, or of Azure Event Hubs.",
       false,
       {{"brokers", "host:port, several with commas.", true, false},
        {"topics", "The topics.", true, true},
        {"group", "Consumer group.", false, false, "belfry"},
        {"member", "Name of this member of the group [the host's]; none: any member, missed after 10 s.",
         false, false},
        {"format",
         "What a record's value is.",
         false,
         false,
         "json",
         {"json", "cloudevents", "debezium", "text"}},
        {"begin", "Where to begin without a position.", false, false, "now", {"now", "earliest"}},
        {"username", "SASL user; for Event Hubs $ConnectionString.", false, false},
        kPasswordFile,
        {"properties", "Settings of librdkafka, such as security.protocol=SASL_SSL.", false, true}}},
      {"mqtt",
       "mqtt",
       "Messages of an MQTT broker.",
       false,
       {{"url", "mqtt://host:1883, or mqtts://host:8883.", true, false},
        {"subscriptions", "Topic filters.", true, true},
        {"version", "Of the protocol.", false, false, "5", {"5", "3.1.1"}},
        {"qos", "1: confirmed after the commit; 0: may be lost.", false, false, "1", {"0", "1"}},
        {"client_id", "Of the session that the broker keeps [belfry-<name>].", false, false},
        {"session_expiry_s", "MQTT 5: how long the broker keeps it.", false, false, "86400"},
        {"username", "User.", false, false},
        kPasswordFile,
        {"ca_file", "mqtts: certificates to trust instead of the system's.", false, false}}}};
}

std::vector<SourceKind> webhook_kinds() {
  return {
      {"cloudevents",
       "",
       "CloudEvents over HTTP.",
       true,
       {kSecretFiles,
        {"origins", "Who may ask for permission to send (WebHook-Request-Origin).", false, true, "*"}}},
      {"event-grid",
       "",
       "Azure Event Grid, in its own schema or as CloudEvents.",
       true,
       {kSecretFiles, {"origins", "Who may ask for permission to send.", false, true, "*"}}},
      {"webhook",
       "",
       "Webhooks that are signed with HMAC-SHA256.",
       true,
       {kSecretFiles,
        {"scheme",
         "How they are signed.",
         false,
         false,
         "standard",
         {"standard", "stripe", "github", "slack"}},
        {"tolerance_s", "How old a signature may be.", false, false, "300"},
        {"id", "Template of what makes a delivery the same one; else the scheme's own.", false, false}}},
  };
}

// Changes of tables, unless something else is said: refresh events, so that nothing of the data goes out.
MappingRule change_rule() {
  MappingRule rule;
  rule.topic = "{table}/{id}";
  rule.type = std::string(refresh_type);
  rule.keys = R"([["{table}"],["{table}","{id}"]])";
  return rule;
}

MappingRule plain_rule(std::string topic, std::string type, std::string data) {
  MappingRule rule;
  rule.topic = std::move(topic);
  rule.type = std::move(type);
  rule.data = std::move(data);
  return rule;
}

Result<void> check_setting(const SettingInfo& info, SourceConfig& config) {
  const std::string name(info.name);
  auto& values = config.settings[name];
  if (values.empty() && !info.standard.empty()) values.emplace_back(info.standard);
  if (values.empty() && info.required)
    return fail(Code::config_invalid,
                "The setting " + name + " is missing. " + std::string(info.explanation), name);
  for (const std::string& value : values) {
    if (info.choices.empty() ||
        std::find(info.choices.begin(), info.choices.end(), value) != info.choices.end())
      continue;
    std::string all;
    for (const auto choice : info.choices) all += (all.empty() ? "" : ", ") + std::string(choice);
    return fail(Code::config_invalid, name + " must be one of " + all + ".", name);
  }
  if (values.empty()) config.settings.erase(name);
  return {};
}

}  // namespace

const std::vector<SourceKind>& source_kinds() {
  static const std::vector<SourceKind> kinds = [] {
    std::vector<SourceKind> all = database_kinds();
    for (const auto& part : {broker_kinds(), webhook_kinds()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return kinds;
}

const SourceKind* find_kind(std::string_view name) {
  const auto& kinds = source_kinds();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [name](const SourceKind& k) { return k.name == name; });
  return found == kinds.end() ? nullptr : &*found;
}

Result<void> complete(SourceConfig& config) {
  const SourceKind* kind = find_kind(config.kind);
  if (kind == nullptr) return fail(Code::config_invalid, "There is no such kind of source.", "kind");
  for (const SettingInfo& info : kind->settings) TRY(check_setting(info, config));
  for (const std::string_view name : {"id_slack", "session_expiry_s", "tolerance_s"}) {
    const std::string text = config.text(name);
    if (text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
      return fail(Code::config_invalid, std::string(name) + " must be a whole number.", std::string(name));
  }
  if (config.kind == "mqtt") (void)TRY(broker_address(config.text("url")));
  for (const std::string& property : config.list("properties"))
    if (property.find('=') == std::string::npos)
      return fail(Code::config_invalid, "\"" + property + "\" is not name=value.", "properties");
  if (kind->module == "postgres" && config.text("url").empty() == config.text("url_file").empty())
    return fail(Code::config_invalid, "Either url or url_file is needed.", "url");
  if (config.rules.size() > limits::source_rules_max)
    return fail(Code::config_invalid, "At most 64 rules.", "map");
  if (!config.text("id").empty() && config.kind == "webhook") {
    auto id = Template::parse(config.text("id"));
    if (!id) return fail(Code::config_invalid, id.error().detail, "id");
  }
  if (auto mapping = mapping_of(config); !mapping) return mapping.error();
  return {};
}

Result<Mapping> mapping_of(const SourceConfig& config) {
  if (!config.rules.empty()) return Mapping::make(config.rules);
  const std::string format = config.text("format");
  if (config.kind == "postgres-changes" || format == "debezium") return Mapping::make({change_rule()});
  if (config.kind == "postgres-table")
    return Mapping::make({plain_rule("{table}/{id}", "row.inserted", R"("{row}")")});
  if (config.kind == "mqtt") return Mapping::make({plain_rule("{topic|path}", {}, R"("{payload}")")});
  if (config.kind == "event-grid")
    return Mapping::make({plain_rule("event-grid/" + encode_segment(config.name), "{type}",
                                     R"({"subject": "{subject}", "data": "{data}"})")});
  if (config.kind == "cloudevents") return Mapping::cloud_event("event");
  if (format == "cloudevents") return Mapping::cloud_event("event");
  if (format == "text") return Mapping::make({plain_rule("{topic}", {}, R"("{value}")")});
  return Mapping::publish_body(config.kind == "webhook" ? "body" : "value");
}

}  // namespace belfry::ingest
