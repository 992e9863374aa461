#pragma once
// JSON of a record, and back. Any thread.
//
// Written by hand and not by Boost.JSON's serialize(): that writes 31.5 as 3.15E1, and people read it.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/base.h"

namespace belfry::ingest {

// Code::bad_json, bad_utf8 or too_deep (limits::json_depth_max).
Result<boost::json::value> read_json(std::string_view text);
// Nothing unless it is an object that has one.
const boost::json::value* member(const boost::json::value& value, std::string_view name);
// Empty unless there is one, and it is a text.
std::string member_text(const boost::json::value& value, std::string_view name);
std::string write_json(const boost::json::value& value);

}  // namespace belfry::ingest
