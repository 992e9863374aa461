#pragma once
// What the bindings of CloudEvents 1.0 (HTTP, Kafka) have in common. Any thread.

#include <boost/json/value.hpp>
#include <string_view>

#include "base/base.h"

namespace belfry::ingest {

// Binary content mode: the data as JSON, as text, or as base64 (JSON format section 3.1), by its media
// type. Code::bad_json and so on.
Result<void> add_data(boost::json::object& event, std::string_view content_type, std::string_view bytes);
// Code::missing_field: an attribute that every event must have (section "Required attributes").
Result<void> check_cloud_event(const boost::json::value& event);

}  // namespace belfry::ingest
