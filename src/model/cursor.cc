#include "model/cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace belfry {
namespace {

constexpr std::size_t kEpochDigits = 16;

}  // namespace

std::string to_text(const Cursor& cursor) {
  return fmt::format("{:016x}.{}", cursor.epoch.bits, cursor.offset);
}

Result<Cursor> parse_cursor(std::string_view text) {
  if (text.size() > limits::cursor_bytes_max) return fail(Code::bad_cursor, "It is longer than 128 bytes.");
  if (text.size() < kEpochDigits + 2 || text[kEpochDigits] != '.') return fail(Code::bad_cursor);
  Cursor cursor;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto epoch = std::from_chars(begin, begin + kEpochDigits, cursor.epoch.bits, 16);
  const auto offset = std::from_chars(begin + kEpochDigits + 1, end, cursor.offset, 10);
  if (epoch.ec != std::errc{} || offset.ec != std::errc{} || offset.ptr != end)
    return fail(Code::bad_cursor);
  // One text per cursor: no upper case, no leading zeros, no sign.
  if (to_text(cursor) != text) return fail(Code::bad_cursor);
  return cursor;
}

std::string_view name_of(ResetReason reason) {
  switch (reason) {
    case ResetReason::horizon:
      return "horizon";
    case ResetReason::rewound:
      return "rewound";
    case ResetReason::lost:
      return "lost";
  }
  return "lost";
}

Cursor EpochTable::cursor(Offset position) const {
  const auto after =
      std::upper_bound(rows_.begin(), rows_.end(), position,
                       [](Offset offset, const EpochRow& row) { return offset < row.first; });
  return {after == rows_.begin() ? rows_.front().epoch : std::prev(after)->epoch, position};
}

EpochTable::Place EpochTable::place(const Cursor& cursor, Offset head) const {
  // An epoch may have had no event at all; then a later row has the same `first`, and both mean the same
  // place.
  const auto row = std::find_if(rows_.rbegin(), rows_.rend(),
                                [&](const EpochRow& candidate) { return candidate.epoch == cursor.epoch; });
  if (row == rows_.rend()) return {head, ResetReason::lost};
  const Offset last = row == rows_.rbegin() ? head : std::prev(row)->first - 1;
  // The place before an epoch's first event is in its history too. What stands below the first row is of
  // epochs that are not kept any more, and is told as the first one's since.
  const Offset first = row->epoch == rows_.front().epoch ? 0 : row->first;
  if (cursor.offset + 1 >= first && cursor.offset <= last) return {cursor.offset, std::nullopt};
  if (cursor.offset > last) return {last, ResetReason::rewound};
  return {head, ResetReason::lost};
}

}  // namespace belfry
