// Commands about sources.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/server_call.h"
#include "ingest/ingest.h"
#include "server/server.h"
#include "wire/wire.h"

namespace belfry::cli {
namespace json = boost::json;

namespace {

Result<std::string> read_sample(const std::string& file) {
  std::ostringstream out;
  if (file == "-") {
    out << std::cin.rdbuf();
  } else {
    std::ifstream in(file);
    if (!in) return fail(Code::bad_request, "Cannot read " + file + ".");
    out << in.rdbuf();
  }
  return out.str();
}

// One event as `belfry publish` would take it.
std::string event_text(const Event& event) {
  std::string out = "{";
  const auto add = [&out](std::string_view name, std::string_view json_text) {
    if (json_text.empty()) return;
    out += (out.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + std::string(json_text);
  };
  const auto add_text = [&add](std::string_view name, std::string_view text) {
    std::string quoted;
    if (!text.empty()) append_json_string(quoted, text);
    add(name, quoted);
  };
  add_text("topic", event.topic);
  add_text("type", event.type);
  add("data", event.data);
  add("notification", event.notification);
  add("keys", event.keys);
  add_text("key", event.key);
  if (event.expires) add_text("expires", format_rfc3339(*event.expires));
  if (event.spread_ms > 0) add("spread_ms", std::to_string(event.spread_ms));
  add_text("version", event.version);
  return out + "}";
}

std::string text_in(const json::value& value, const char* name) {
  const auto* found = value.is_object() ? value.get_object().if_contains(name) : nullptr;
  if (found == nullptr || found->is_null()) return {};
  return found->is_string() ? std::string(found->get_string()) : json::serialize(*found);
}

void print_source(const json::value& source) {
  std::string lag = "-";
  if (source.get_object().contains("lag"))
    lag = text_in(source.at("lag"), "value") + " " + text_in(source.at("lag"), "unit");
  std::printf("%-20s %-17s %-9s lag %-14s %s records, %s events, %s dead letters, %s failures\n",
              text_in(source, "name").c_str(), text_in(source, "kind").c_str(),
              text_in(source, "state").c_str(), lag.c_str(), text_in(source, "records").c_str(),
              text_in(source, "events").c_str(), text_in(source, "dead_letters").c_str(),
              text_in(source, "failures").c_str());
  if (const auto* positions = source.at("positions").if_object())
    for (const auto& one : *positions) {
      const std::string part(one.key());
      std::string value(one.value().as_string());
      if (value.size() > 80) value = value.substr(0, 77) + "...";
      std::printf("  at %s%s%s\n", part.c_str(), part.empty() ? "" : ": ", value.c_str());
    }
  for (const char* kind : {"error", "alarm"}) {
    const auto& error = source.at(kind);
    if (error.is_object())
      std::printf("  %s %s: %s\n        %s\n", kind, text_in(error, "code").c_str(),
                  text_in(error, "message").c_str(), text_in(error, "hint").c_str());
  }
}

}  // namespace

int run_source_install(const SourceCommand& command) {
  if (command.url.empty() && !command.print) {
    std::fprintf(stderr,
                 "belfry: --url (or BELFRY_DATABASE_URL) says where: postgres://user@host/database\n");
    return exit_usage;
  }
  const auto module = ingest::load_module(command.kind);
  if (!module) return tell(module.error());
  const auto sql = module.value()->install({command.url, command.schema, command.print});
  if (!sql) return tell(sql.error());
  if (command.print) {
    std::printf("%s", sql.value().c_str());
    return exit_ok;
  }
  std::printf("Installed: %s.publish(topic, type, data, …) and %s.refresh(topic, keys, …).\n",
              command.schema.c_str(), command.schema.c_str());
  std::printf(
      "Next, for the role of the application:\n  GRANT USAGE ON SCHEMA %s TO app;\n"
      "  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %s TO app;\n"
      "and in belfry.toml:\n  [source.app]\n  kind = \"postgres-outbox\"\n  url = \"postgres://…\"\n",
      command.schema.c_str(), command.schema.c_str());
  return exit_ok;
}

int run_source_test(const SourceCommand& command) {
  const LoadedConfig loaded = load_config({command.config, process_environment(), {}});
  for (const auto& problem : loaded.problems)
    std::fprintf(stderr, "belfry: %s: %s\n", problem.where.c_str(), problem.text.c_str());
  if (!loaded.problems.empty()) return exit_config;
  std::vector<std::string> names;
  const ingest::SourceConfig* config = nullptr;
  for (const auto& source : loaded.config.sources) {
    names.push_back(source.name);
    if (source.name == command.name) config = &source;
  }
  if (config == nullptr) {
    const std::string near = nearest(command.name, names);
    std::fprintf(stderr, "belfry: there is no [source.%s] in the configuration.%s\n", command.name.c_str(),
                 near.empty() ? "" : (" Did you mean " + near + "?").c_str());
    return exit_usage;
  }
  const auto sample = read_sample(command.sample);
  if (!sample) return tell(sample.error());
  const auto records = ingest::sample_records(*config, sample.value());
  if (!records) return tell(records.error());
  const auto mapping = ingest::mapping_of(*config);
  if (!mapping) return tell(mapping.error());
  bool good = true;
  for (std::size_t i = 0; i < records.value().size(); ++i) {
    const auto events = mapping.value().events(records.value()[i]);
    if (!events) {
      good = false;
      std::fprintf(stderr, "record %zu: a dead letter: %s\n", i + 1, events.error().text().c_str());
    } else if (events.value().empty()) {
      std::fprintf(stderr, "record %zu: passed over, no rule holds\n", i + 1);
    } else {
      for (const Event& event : events.value()) std::printf("%s\n", event_text(event).c_str());
    }
  }
  return good ? exit_ok : exit_failed;
}

int run_source_status(const SourceCommand& command) {
  const auto response = call(command.server, "GET", "/v1/sources", {});
  if (!response) return tell(response.error());
  if (response.value().status != 200) return tell_refusal(response.value());
  if (command.json) {
    std::printf("%s\n", response.value().body.c_str());
    return exit_ok;
  }
  const json::value body = json::parse(response.value().body);
  const auto& sources = body.at("sources").as_array();
  if (sources.empty()) std::printf("There are no sources. [source.NAME] in belfry.toml makes one.\n");
  for (const auto& source : sources) print_source(source);
  return exit_ok;
}

int run_source_dead(const SourceCommand& command) {
  const auto letters = dead_letters_of(database_path(command.data), command.name, command.limit);
  if (!letters) return tell(letters.error());
  for (const DeadLetter& letter : letters.value())
    std::printf("%s  %s\n  %s\n  %s\n", format_rfc3339(letter.time).c_str(), letter.position.c_str(),
                letter.reason.c_str(), letter.record.c_str());
  if (letters.value().empty()) std::printf("None of %s.\n", command.name.c_str());
  return exit_ok;
}

int run_source_reset(const SourceCommand& command) {
  const auto response =
      call(command.server, "POST", "/v1/sources/" + percent_encode(command.name, "_-") + "/reset", "{}");
  if (!response) return tell(response.error());
  if (response.value().status != 202) return tell_refusal(response.value());
  std::fprintf(stderr, "%s begins anew.\n", command.name.c_str());
  return exit_ok;
}

}  // namespace belfry::cli
