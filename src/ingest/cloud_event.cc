#include "ingest/cloud_event.h"

#include "ingest/read_json.h"

namespace belfry::ingest {

Result<void> add_data(boost::json::object& event, std::string_view content_type, std::string_view bytes) {
  const std::string_view media = content_type.substr(0, content_type.find(';'));
  if (media == "application/json" || media.ends_with("+json")) {
    event["data"] = TRY(read_json(bytes));
  } else if (is_utf8(bytes)) {
    event["data"] = bytes;
  } else {
    event["data_base64"] = to_base64(bytes);
  }
  return {};
}

Result<void> check_cloud_event(const boost::json::value& event) {
  for (const std::string_view name : {"specversion", "id", "source", "type"})
    if (member_text(event, name).empty()) return fail(Code::missing_field, {}, std::string(name));
  return {};
}

}  // namespace belfry::ingest
