#pragma once
// Trying a mapping: from a sample, as a person has it at hand, to the records that a source would see.
//
// Values; any thread.

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "ingest/source.h"

namespace belfry::ingest {

// What stands in a sample file: one JSON value, or one a line. Of
//   postgres-outbox   a publish body           postgres-table   a row, or {table, id, row}
//   postgres-changes  {op, table, id, before, after}
//   kafka             a record's value, or {key, value, headers, topic}
//   mqtt              {topic, payload}
//   cloudevents, event-grid, webhook           the body
Result<std::vector<boost::json::value>> sample_records(const SourceConfig& config, std::string_view sample);

}  // namespace belfry::ingest
