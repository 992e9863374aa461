#pragma once
// From a record to events: what a source's configuration says about it.
//
// Every rule whose `when` holds makes one event; a record for which none holds is passed over. What a rule
// makes is checked where every publish is checked (wire/publish_body). Values; any thread.

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ingest/condition.h"
#include "ingest/template.h"
#include "model/model.h"

namespace belfry::ingest {

// As in the configuration: texts are templates, `data`, `notification` and `keys` are JSON whose strings
// are. What is empty is left out.
struct MappingRule {
  std::string when, topic, type, data, notification, key, expires, keys, version;
  std::uint32_t spread_ms = 0;
  bool operator==(const MappingRule&) const = default;
};

class Mapping {
 public:
  // Without rules: what stands at the path is a publish body already (an event, or a list), or a
  // CloudEvent.
  static Mapping publish_body(std::string_view path);
  static Mapping cloud_event(std::string_view path);
  // Code::config_invalid; the error's field names the rule and its part: "map[2].topic".
  static Result<Mapping> make(const std::vector<MappingRule>& rules);

  // None: the record is passed over. An error: it belongs to the dead letters.
  Result<std::vector<Event>> events(const boost::json::value& record) const;

 private:
  struct Rule {
    Condition when;
    std::vector<std::pair<std::string, Template>> texts;             // members of a publish body
    std::vector<std::pair<std::string, boost::json::value>> values;  // whose strings are templates
    std::uint32_t spread_ms = 0;
  };
  Result<std::vector<Event>> whole(const boost::json::value& record) const;
  static Result<Rule> compile(const MappingRule& rule);
  static Result<Event> apply(const Rule& rule, const boost::json::value& record);

  std::optional<Path> body_;  // without rules
  bool cloud_event_ = false;
  std::vector<Rule> rules_;
};

// A record for people: JSON, cut to limits::event_bytes_max.
std::string shown(const boost::json::value& record);

}  // namespace belfry::ingest
