#pragma once
// What both stores do to a read state whose items are gone. Private to store.

#include "store/store.h"

namespace belfry {

// Steps of the read state in which the feed holds nothing take the state of what follows them. Looks at
// `ranges_max` of them behind `after`; gives the place where to go on, 0 after the last one. No item that
// is there, or that comes, changes its state.
Result<Offset> forget_steps(FeedRows& rows, std::string_view user, const UserRows& of_user, Offset after,
                            std::size_t ranges_max, ReadState& read);

inline constexpr std::size_t epochs_max = 10'000;  // an older cursor is not of this log any more
// So many of the newest stay, also without events: in a backup the newest one has none yet, and after a
// restore its cursors are to be known as such.
inline constexpr std::size_t epochs_spared = 100;

// Whose own topic it is; empty if it is nobody's.
std::string user_of_topic(std::string_view topic);

}  // namespace belfry
