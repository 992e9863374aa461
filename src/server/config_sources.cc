#include "server/config_sources.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <map>

namespace belfry {
namespace json = boost::json;

namespace {

using Places = std::map<std::string, toml::source_position, std::less<>>;

std::string hint(std::string_view name, const std::vector<std::string>& names) {
  const std::string near = nearest(name, names);
  return near.empty() ? std::string() : " Did you mean \"" + near + "\"?";
}

json::value to_json(const toml::node& node) {
  if (const auto* text = node.as_string()) return json::value(text->get());
  if (const auto* number = node.as_integer()) return json::value(number->get());
  if (const auto* number = node.as_floating_point()) return json::value(number->get());
  if (const auto* flag = node.as_boolean()) return json::value(flag->get());
  if (const auto* array = node.as_array()) {
    json::array out;
    for (const auto& item : *array) out.push_back(to_json(item));
    return json::value(std::move(out));
  }
  json::object out;
  if (const auto* table = node.as_table())
    for (auto&& [key, value] : *table) out[std::string(key.str())] = to_json(value);
  return json::value(std::move(out));
}

// One [source.NAME].
class SourceReader {
 public:
  SourceReader(const ToldProblem& problem, std::string name) : problem_(problem) {
    config_.name = std::move(name);
  }

  bool read(const toml::table& table, toml::source_position at) {
    const auto* kind = table.get("kind");
    if (kind == nullptr || !kind->is_string()) {
      problem_(kind == nullptr ? at : kind->source().begin,
               "A source needs a kind, one of " + kinds() + ".");
      return false;
    }
    config_.kind = kind->as_string()->get();
    info_ = ingest::find_kind(config_.kind);
    if (info_ == nullptr) {
      problem_(kind->source().begin, "There is no kind \"" + config_.kind + "\", only " + kinds() + ".");
      return false;
    }
    for (auto&& [key, value] : table)
      if (key.str() != "kind") member(std::string(key.str()), key.source().begin, value);
    if (!good_) return false;
    if (auto complete = ingest::complete(config_); !complete) {
      const auto place = places_.find(complete.error().field);
      problem_(place == places_.end() ? at : place->second, complete.error().detail);
      return false;
    }
    return true;
  }

  ingest::SourceConfig take() { return std::move(config_); }

 private:
  static std::string kinds() {
    std::string out;
    for (const auto& kind : ingest::source_kinds())
      out += (out.empty() ? "" : ", ") + std::string(kind.name);
    return out;
  }

  void wrong(toml::source_position at, const std::string& text) {
    problem_(at, text);
    good_ = false;
  }

  void member(const std::string& name, toml::source_position at, const toml::node& value) {
    places_[name] = value.source().begin;
    if (name == "map") return rules(at, value);
    std::vector<std::string> names{"kind", "map"};
    for (const auto& setting : info_->settings) names.emplace_back(setting.name);
    const auto found = std::find_if(info_->settings.begin(), info_->settings.end(),
                                    [&name](const ingest::SettingInfo& s) { return s.name == name; });
    if (found == info_->settings.end())
      return wrong(
          at, "A source of the kind " + config_.kind + " has no setting " + name + "." + hint(name, names));
    auto& values = config_.settings[name];
    if (const auto* array = value.as_array(); array != nullptr && found->list) {
      for (const auto& item : *array) {
        const auto* text = item.as_string();
        if (text == nullptr) return wrong(item.source().begin, name + " must be a list of strings.");
        values.push_back(text->get());
      }
    } else if (const auto* text = value.as_string(); text != nullptr) {
      values.push_back(text->get());
    } else if (const auto* number = value.as_integer(); number != nullptr && !found->list) {
      values.push_back(std::to_string(number->get()));
    } else {
      wrong(value.source().begin,
            name + (found->list ? " must be a list of strings." : " must be a string."));
    }
  }

  void rules(toml::source_position at, const toml::node& value) {
    const auto* array = value.as_array();
    if (array == nullptr) return wrong(at, "The rules are written as [[source." + config_.name + ".map]].");
    for (std::size_t i = 0; i < array->size(); ++i) {
      const auto* table = array->get(i)->as_table();
      if (table == nullptr) return wrong(array->get(i)->source().begin, "A rule is a table.");
      const std::string path = "map[" + std::to_string(i) + "]";
      places_[path] = places_[path + ".topic"] = table->source().begin;
      ingest::MappingRule rule;
      for (auto&& [key, part] : *table)
        rule_part(rule, path, std::string(key.str()), key.source().begin, part);
      config_.rules.push_back(std::move(rule));
    }
  }

  void rule_part(ingest::MappingRule& rule, const std::string& path, const std::string& name,
                 toml::source_position at, const toml::node& value) {
    using Rule = ingest::MappingRule;
    static const std::vector<std::pair<std::string, std::string Rule::*>> texts{
        {"when", &Rule::when}, {"topic", &Rule::topic},     {"type", &Rule::type},
        {"key", &Rule::key},   {"expires", &Rule::expires}, {"version", &Rule::version}};
    static const std::vector<std::pair<std::string, std::string Rule::*>> values{
        {"data", &Rule::data}, {"notification", &Rule::notification}, {"keys", &Rule::keys}};
    places_[path + "." + name] = value.source().begin;
    std::vector<std::string> names{"spread_ms"};
    for (const auto& [known, part] : texts) {
      names.push_back(known);
      if (known != name) continue;
      const auto* text = value.as_string();
      return text == nullptr ? wrong(value.source().begin, name + " must be a string.")
                             : void(rule.*part = text->get());
    }
    for (const auto& [known, part] : values) {
      names.push_back(known);
      if (known == name) return void(rule.*part = json::serialize(to_json(value)));
    }
    const auto* number = value.as_integer();
    if (name != "spread_ms") return wrong(at, "A rule has no part " + name + "." + hint(name, names));
    if (number == nullptr || number->get() < 0 || number->get() > std::int64_t{limits::spread_ms_max})
      return wrong(value.source().begin, "spread_ms must be a number from 0 to 600000.");
    rule.spread_ms = static_cast<std::uint32_t>(number->get());
  }

  const ToldProblem& problem_;
  ingest::SourceConfig config_;
  const ingest::SourceKind* info_ = nullptr;
  Places places_;
  bool good_ = true;
};

}  // namespace

void read_sources(const toml::table& tables, std::vector<ingest::SourceConfig>& sources,
                  const ToldProblem& problem) {
  for (auto&& [key, node] : tables) {
    const std::string name(key.str());
    const auto* table = node.as_table();
    const bool good =
        !name.empty() && name.size() <= 48 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
            std::string::npos;
    if (table == nullptr || !good) {
      problem(key.source().begin,
              "A source is a table such as [source.orders]; names have letters, digits, - and _.");
      continue;
    }
    SourceReader reader(problem, name);
    if (reader.read(*table, key.source().begin)) sources.push_back(reader.take());
  }
}

}  // namespace belfry
