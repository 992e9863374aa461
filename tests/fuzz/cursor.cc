// Cursors: only the one text of a place is accepted.
#include "fuzz.h"
#include "model/model.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cursor = parse_cursor(text);
  if (!cursor) return 0;
  CHECK(to_text(cursor.value()) == text && text.size() <= limits::cursor_bytes_max);
  const EpochTable table({{Epoch{1}, 1}, {Epoch{2}, 100}, {cursor.value().epoch, 200}});
  const auto place = table.place(cursor.value(), 300);
  CHECK(place.position <= 300);
  return 0;
}
