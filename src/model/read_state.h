#pragma once
// What a user has read: a step function over the log. Every notification of the user's feed whose offset
// lies in a step has the step's state; above the last step nothing is seen yet. A feed that is read in
// order is one step, however long; a step more is needed where something was left out
// (docs/decisions/0005).
//
// Values; any thread. Bound: limits::read_steps_max, kept by feed. A mark of one item costs a search and the
// move of what stands behind it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/base.h"
#include "model/cursor.h"

namespace belfry {

// What may be said of a notification. `read` and `archived` imply seen; archived ones are not counted.
enum class Mark : std::uint8_t { read, unread, seen, archived, unarchived };
std::string_view name_of(Mark mark);
std::optional<Mark> mark_of(std::string_view name);

struct ItemState {
  bool seen = false;
  bool read = false;
  bool archived = false;
  bool operator==(const ItemState&) const = default;
  bool counts_unread() const { return !read && !archived; }
  bool counts_unseen() const { return !seen && !archived; }
};
ItemState marked(ItemState state, Mark mark);

inline constexpr Offset offset_max = ~Offset{0} >> 1;

class ReadState {
 public:
  // Offsets in (after, upto] have this state.
  struct Range {
    Offset after = 0;
    Offset upto = 0;
    ItemState state;
    bool operator==(const Range&) const = default;
  };

  ItemState at(Offset offset) const;
  // What follows `after`, from the oldest to the newest, without gaps; the last one ends at offset_max and
  // is unseen.
  std::vector<Range> ranges(Offset after = 0) const;

  // REQUIRES: after < upto. True if something changed.
  bool apply(Mark mark, Offset after, Offset upto);
  // The ranges beside the one that holds `offset`, the last one excepted. Where the feed holds nothing in
  // such a range, it may join by fill(), which keeps the steps few.
  std::vector<Range> beside(Offset offset) const;
  void fill(const Range& range, ItemState state);

  std::size_t steps() const { return steps_.size(); }
  bool operator==(const ReadState&) const = default;

  // For the store: pairs of varints.
  std::string encode() const;
  // Code::store_failed if it is not such a text.
  static Result<ReadState> decode(std::string_view bytes);

 private:
  struct Step {
    Offset upto;
    ItemState state;
    bool operator==(const Step&) const = default;
  };
  template <class Change>
  bool change(Offset after, Offset upto, Change change);
  std::size_t step_above(Offset offset) const;
  void split(Offset at);
  void join(std::size_t from, std::size_t to);

  std::vector<Step> steps_;  // ascending
};

}  // namespace belfry
