#pragma once
// A cursor is a place in the log as text: `epoch.offset`. It counts only if its offset lies in its epoch's
// range, so a restored backup or a stale failover is noticed exactly (DESIGN section 2; the idea of Kafka's
// KIP-320).
//
// Values; EpochTable is immutable once the store is open and shared between threads.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"

namespace belfry {

// A place in the log; the first event has offset 1. As a position: everything up to and including it.
using Offset = std::uint64_t;
// An event's number within its topic, from 1.
using Seq = std::uint64_t;

struct Epoch {
  std::uint64_t bits = 0;
  auto operator<=>(const Epoch&) const = default;
};

struct Cursor {
  Epoch epoch;
  Offset offset = 0;
  auto operator<=>(const Cursor&) const = default;
};

// 16 hexadecimal digits, '.', the offset in decimal.
std::string to_text(const Cursor& cursor);
// Code::bad_cursor unless it is exactly such a text.
Result<Cursor> parse_cursor(std::string_view text);

// One opening of the store by a writer: offsets from `first` on are of this epoch until the next one
// begins.
struct EpochRow {
  Epoch epoch;
  Offset first = 1;
  auto operator<=>(const EpochRow&) const = default;
};

// Why a client cannot be given what follows its cursor; sent to it in the stream.
enum class ResetReason {
  horizon,  // retention removed events after the cursor
  rewound,  // the log was replaced by an older copy; the cursor lies in a part that no longer exists
  lost,     // the cursor is not of this log
};
std::string_view name_of(ResetReason reason);

class EpochTable {
 public:
  EpochTable() = default;
  // REQUIRES: ordered by `first`, not empty.
  explicit EpochTable(std::vector<EpochRow> rows) : rows_(std::move(rows)) {}

  // The one text of a position. Position 0 belongs to the first epoch.
  Cursor cursor(Offset position) const;
  std::string text(Offset position) const { return to_text(cursor(position)); }

  // Where to go on from a cursor, given the log's head. With `reset`, the place differs from what was asked
  // for: `rewound` goes on where the histories part, `lost` at the head.
  struct Place {
    Offset position = 0;
    std::optional<ResetReason> reset;
  };
  Place place(const Cursor& cursor, Offset head) const;

  const std::vector<EpochRow>& rows() const { return rows_; }

 private:
  std::vector<EpochRow> rows_;
};

}  // namespace belfry
