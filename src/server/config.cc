#include "server/config.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "model/model.h"
#include "net/net.h"
#include "server/config_sources.h"

namespace belfry {
namespace {

constexpr std::string_view kPrefix = "BELFRY_";
// Read by the command line, not by the configuration.
const std::vector<std::string> kOtherVariables{"BELFRY_URL",      "BELFRY_TOKEN_FILE",
                                               "BELFRY_KEY_FILE", "BELFRY_CA_FILE",
                                               "BELFRY_CONFIG",   "BELFRY_DATABASE_URL"};

const ConfigField* field_named(std::string_view name) {
  const auto& fields = config_fields();
  const auto found =
      std::find_if(fields.begin(), fields.end(), [name](const ConfigField& f) { return f.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& names) {
  const std::string near = nearest(name, names);
  return near.empty() ? std::string() : " Did you mean \"" + near + "\"?";
}

std::string variable_of(std::string_view field) {
  std::string out(kPrefix);
  for (const char c : field) {
    if (c == '.') {
      out += "__";
    } else {
      out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    }
  }
  return out;
}

// One pass over all sources, gathering what is wrong.
class Loader {
 public:
  explicit Loader(LoadedConfig& out) : out_(out) {}

  void defaults() {
    for (const auto& field : config_fields()) out_.config.origins[std::string(field.name)] = "default";
  }

  void file(const std::string& path) {
    toml::table root;
    try {
      root = toml::parse_file(path);
    } catch (const toml::parse_error& error) {
      const auto at = error.source().begin;
      return problem(at.line == 0 ? path : place(path, at), std::string(error.description()));
    }
    for (auto&& [table_key, node] : root) {
      const std::string table(table_key.str());
      const auto* entries = node.as_table();
      if (table == "source" && entries != nullptr) {
        read_sources(*entries, out_.config.sources, [&](toml::source_position at, const std::string& text) {
          problem(place(path, at), text);
        });
        continue;
      }
      if (entries == nullptr || !known_table(table)) {
        problem(place(path, table_key.source().begin),
                "There is no table [" + table + "]." + did_you_mean(table, tables()));
        continue;
      }
      for (auto&& [key, value] : *entries)
        entry(path, table + "." + std::string(key.str()), key.source().begin, value);
    }
  }

  void environment(const std::vector<std::pair<std::string, std::string>>& variables) {
    std::vector<std::string> names = kOtherVariables;
    for (const auto& field : config_fields()) names.push_back(variable_of(field.name));
    for (const auto& [name, value] : variables) {
      if (!name.starts_with(kPrefix)) continue;
      if (std::find(kOtherVariables.begin(), kOtherVariables.end(), name) != kOtherVariables.end())
        continue;
      const auto& fields = config_fields();
      const auto field = std::find_if(fields.begin(), fields.end(), [&name = name](const ConfigField& f) {
        return variable_of(f.name) == name;
      });
      if (field == fields.end()) {
        problem(name, "There is no such variable." + did_you_mean(name, names));
      } else {
        text_value(*field, value, name);
      }
    }
  }

  void flag(const std::string& name, const std::string& value) {
    const ConfigField* field = field_named(name);
    CHECK(field != nullptr);
    text_value(*field, value, "--" + name.substr(name.find('.') + 1));
  }

  void whole() {
    const Config& config = out_.config;
    if (auto listen = parse_listen(config.http_listen); !listen)
      problem(origin("http.listen"), listen.error().detail);
    for (const auto& pattern : config.log_ephemeral)
      if (auto checked = check_pattern(pattern); !checked)
        problem(origin("log.ephemeral"), "\"" + pattern + "\": " + checked.error().detail);
    for (const auto& pattern : config.presence_topics)
      if (auto checked = check_pattern(pattern); !checked)
        problem(origin("presence.topics"), "\"" + pattern + "\": " + checked.error().detail);
    for (const auto& rule : config.log_retention)
      if (auto checked = parse_retention_rule(rule); !checked)
        problem(origin("log.retention"), "\"" + rule + "\": " + checked.error().detail);
    if (auto proxies = net::Networks::parse(config.http_trusted_proxies); !proxies)
      problem(origin("http.trusted_proxies"), proxies.error().detail);
    if (config.http_proxy_protocol && config.http_trusted_proxies.empty())
      problem(origin("http.proxy_protocol"), "It needs http.trusted_proxies.");
    if (config.http_tls_certificate_file.empty() != config.http_tls_key_file.empty())
      problem(origin("http.tls_certificate_file"), "The certificate and its key belong together.");
    for (const auto& value : config.http_allowed_origins)
      if (value.find("://") == std::string::npos || value.ends_with("/"))
        problem(origin("http.allowed_origins"),
                "\"" + value + "\" is not an origin such as https://app.example.com.");
  }

 private:
  static std::string place(const std::string& path, const toml::source_position& at) {
    return path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  }
  static std::vector<std::string> tables() {
    return {"http", "limits", "store", "log", "presence", "auth", "server", "source"};
  }
  static bool known_table(const std::string& name) {
    const auto all = tables();
    return std::find(all.begin(), all.end(), name) != all.end();
  }
  std::string origin(const std::string& name) { return name + " (" + out_.config.origins[name] + ")"; }
  void problem(std::string where, std::string text) {
    out_.problems.push_back({std::move(where), std::move(text)});
  }

  void entry(const std::string& path, const std::string& name, toml::source_position at,
             const toml::node& node) {
    const ConfigField* field = field_named(name);
    if (field == nullptr) {
      std::vector<std::string> names;
      for (const auto& known : config_fields()) names.emplace_back(known.name);
      return problem(place(path, at), "There is no setting " + name + "." + did_you_mean(name, names));
    }
    const std::string from = path + ":" + std::to_string(at.line);
    if (const auto* text = std::get_if<std::string Config::*>(&field->member)) {
      const auto* value = node.as_string();
      value != nullptr ? set_text(*field, *text, value->get(), from)
                       : problem(place(path, at), name + " must be a string.");
    } else if (const auto* number = std::get_if<std::uint64_t Config::*>(&field->member)) {
      const auto* value = node.as_integer();
      if (value == nullptr || value->get() < 0)
        return problem(place(path, at), name + " must be a whole number.");
      set_number(*field, *number, static_cast<std::uint64_t>(value->get()), from);
    } else if (const auto* flag = std::get_if<bool Config::*>(&field->member)) {
      const auto* value = node.as_boolean();
      if (value == nullptr) return problem(place(path, at), name + " must be true or false.");
      out_.config.** flag = value->get();
      out_.config.origins[name] = from;
    } else {
      set_list(*field, node, place(path, at), from);
    }
  }

  void set_list(const ConfigField& field, const toml::node& node, const std::string& where,
                const std::string& from) {
    std::vector<std::string> items;
    const auto* array = node.as_array();
    bool good = array != nullptr;
    for (std::size_t i = 0; good && i < array->size(); ++i) {
      const auto* item = array->get(i)->as_string();
      good = item != nullptr;
      if (good) items.push_back(item->get());
    }
    if (!good) return problem(where, std::string(field.name) + " must be a list of strings.");
    out_.config.*std::get<std::vector<std::string> Config::*>(field.member) = std::move(items);
    out_.config.origins[std::string(field.name)] = from;
  }

  // A value from a variable or a flag; lists are separated by commas.
  void text_value(const ConfigField& field, const std::string& value, const std::string& from) {
    if (const auto* text = std::get_if<std::string Config::*>(&field.member))
      return set_text(field, *text, value, from);
    if (const auto* number = std::get_if<std::uint64_t Config::*>(&field.member)) {
      std::uint64_t parsed = 0;
      const auto done = std::from_chars(value.data(), value.data() + value.size(), parsed);
      if (done.ec != std::errc{} || done.ptr != value.data() + value.size())
        return problem(from, "\"" + value + "\" is not a whole number.");
      return set_number(field, *number, parsed, from);
    }
    if (const auto* flag = std::get_if<bool Config::*>(&field.member)) {
      if (value != "true" && value != "false")
        return problem(from, "\"" + value + "\" is not true or false.");
      out_.config.** flag = value == "true";
      out_.config.origins[std::string(field.name)] = from;
      return;
    }
    std::vector<std::string> items;
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      items.emplace_back(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    out_.config.*std::get<std::vector<std::string> Config::*>(field.member) = std::move(items);
    out_.config.origins[std::string(field.name)] = from;
  }

  void set_text(const ConfigField& field, std::string Config::* member, std::string value,
                const std::string& from) {
    if (!field.choices.empty() &&
        std::find(field.choices.begin(), field.choices.end(), value) == field.choices.end()) {
      std::string all;
      for (const auto choice : field.choices) all += (all.empty() ? "" : ", ") + std::string(choice);
      return problem(from, std::string(field.name) + " must be one of " + all + ".");
    }
    out_.config.*member = std::move(value);
    out_.config.origins[std::string(field.name)] = from;
  }

  void set_number(const ConfigField& field, std::uint64_t Config::* member, std::uint64_t value,
                  const std::string& from) {
    if (value < field.min || value > field.max)
      return problem(from, std::string(field.name) + " must lie between " + std::to_string(field.min) +
                               " and " + std::to_string(field.max) + ".");
    out_.config.*member = value;
    out_.config.origins[std::string(field.name)] = from;
  }

  LoadedConfig& out_;
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t corner = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
      corner = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::string config_value(const Config& config, const ConfigField& field) {
  const auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + '"';
  };
  if (const auto* text = std::get_if<std::string Config::*>(&field.member)) return quoted(config.**text);
  if (const auto* number = std::get_if<std::uint64_t Config::*>(&field.member))
    return std::to_string(config.**number);
  if (const auto* flag = std::get_if<bool Config::*>(&field.member))
    return config.**flag ? "true" : "false";
  std::string out = "[";
  for (const auto& item : config.*std::get<std::vector<std::string> Config::*>(field.member))
    out += (out.size() > 1 ? ", " : "") + quoted(item);
  return out + "]";
}

LoadedConfig load_config(const ConfigSources& sources) {
  LoadedConfig loaded;
  Loader loader(loaded);
  loader.defaults();
  if (!sources.file.empty()) loader.file(sources.file);
  loader.environment(sources.environment);
  for (const auto& [name, value] : sources.flags) loader.flag(name, value);
  loader.whole();
  return loaded;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view line(*at);
    const auto equals = line.find('=');
    if (equals != std::string_view::npos) out.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

std::pair<std::string, std::string> split_words(std::string_view text) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return {std::string(), std::string(text)};
  return {std::string(text.substr(0, space)),
          std::string(text.substr(std::min(text.size(), text.find_first_not_of(' ', space))))};
}

Result<RetentionRule> parse_retention_rule(std::string_view text) {
  RetentionRule rule;
  bool first = true;
  while (!text.empty()) {
    const auto end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (word.empty()) continue;
    if (std::exchange(first, false)) {
      TRY(check_pattern(word));
      rule.pattern = std::string(word);
      continue;
    }
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
    const std::string_view unit(parsed.ptr,
                                static_cast<std::size_t>(word.data() + word.size() - parsed.ptr));
    const auto found = std::string_view("smhd").find(unit.empty() ? ' ' : unit[0]);
    constexpr std::array<std::int64_t, 4> kSeconds{1, 60, 3600, 86'400};
    if (parsed.ec != std::errc{} || number == 0 || number > 1'000'000'000 || unit.size() > 1 ||
        (!unit.empty() && found == std::string_view::npos))
      return fail(Code::config_invalid, "After the pattern comes an age such as 90d or 12h, or a number.");
    if (unit.empty()) {
      rule.events = number;
    } else {
      rule.age = std::chrono::seconds(static_cast<std::int64_t>(number) * kSeconds[found]);
    }
  }
  if (!rule.age && !rule.events)
    return fail(Code::config_invalid, "A rule is a pattern and an age, a number of events, or both.");
  return rule;
}

Result<ListenAddress> parse_listen(std::string_view text) {
  const auto colon = text.rfind(':');
  ListenAddress address;
  if (colon == std::string_view::npos)
    return fail(Code::config_invalid, "The address to listen on needs a port: 127.0.0.1:8080.");
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const auto port = text.substr(colon + 1);
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || host.empty())
    return fail(Code::config_invalid,
                "\"" + std::string(text) + "\" is not an address and a port such as 127.0.0.1:8080.");
  address.host = std::string(host);
  address.loopback = host.starts_with("127.") || host == "::1";
  return address;
}

std::string nearest(std::string_view name, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const auto& candidate : names) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace belfry
