#include "model/read_state.h"

#include <algorithm>
#include <array>

namespace belfry {
namespace {

constexpr std::array<std::string_view, 5> kMarks{"read", "unread", "seen", "archived", "unarchived"};

std::uint64_t bits_of(ItemState state) {
  return (state.seen ? 1u : 0u) | (state.read ? 2u : 0u) | (state.archived ? 4u : 0u);
}

ItemState state_of(std::uint64_t bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0}; }

// LEB128.
void put(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
  out += static_cast<char>(value);
}

std::optional<std::uint64_t> take(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Mark mark) { return kMarks[static_cast<std::size_t>(mark)]; }

std::optional<Mark> mark_of(std::string_view name) {
  const auto found = std::find(kMarks.begin(), kMarks.end(), name);
  if (found == kMarks.end()) return std::nullopt;
  return static_cast<Mark>(found - kMarks.begin());
}

ItemState marked(ItemState state, Mark mark) {
  switch (mark) {
    case Mark::read:
      return {true, true, state.archived};
    case Mark::unread:
      return {state.seen, false, state.archived};
    case Mark::seen:
      return {true, state.read, state.archived};
    case Mark::archived:
      return {true, state.read, true};
    case Mark::unarchived:
      return {state.seen, state.read, false};
  }
  return state;
}

ItemState ReadState::at(Offset offset) const {
  const auto step = std::lower_bound(steps_.begin(), steps_.end(), offset,
                                     [](const Step& s, Offset wanted) { return s.upto < wanted; });
  return step == steps_.end() ? ItemState{} : step->state;
}

std::vector<ReadState::Range> ReadState::ranges(Offset after) const {
  std::vector<Range> out;
  for (std::size_t i = step_above(after); i < steps_.size(); ++i) {
    out.push_back({after, steps_[i].upto, steps_[i].state});
    after = steps_[i].upto;
  }
  out.push_back({after, offset_max, {}});
  return out;
}

// Makes `at` the end of a step.
void ReadState::split(Offset at) {
  if (at == 0) return;
  const auto step = std::lower_bound(steps_.begin(), steps_.end(), at,
                                     [](const Step& s, Offset wanted) { return s.upto < wanted; });
  if (step == steps_.end()) {
    steps_.push_back({at, {}});
  } else if (step->upto != at) {
    steps_.insert(step, {at, step->state});
  }
}

// The first step that ends above `offset`.
std::size_t ReadState::step_above(Offset offset) const {
  const auto step = std::upper_bound(steps_.begin(), steps_.end(), offset,
                                     [](Offset wanted, const Step& s) { return wanted < s.upto; });
  return static_cast<std::size_t>(step - steps_.begin());
}

// After the steps in [from, to) were changed: neighbours of the same state are one step.
void ReadState::join(std::size_t from, std::size_t to) {
  std::size_t last = from == 0 ? 0 : from - 1;
  const std::size_t end = std::min(to + 1, steps_.size());
  for (std::size_t i = last + 1; i < end; ++i) {
    if (steps_[i].state == steps_[last].state) {
      steps_[last].upto = steps_[i].upto;
    } else {
      steps_[++last] = steps_[i];
    }
  }
  const auto begin = steps_.begin();
  if (last + 1 < end)
    steps_.erase(begin + static_cast<std::ptrdiff_t>(last + 1), begin + static_cast<std::ptrdiff_t>(end));
  while (!steps_.empty() && steps_.back().state == ItemState{}) steps_.pop_back();
}

// Gives the states in (after, upto] to `change`; true if one changed.
template <class Change>
bool ReadState::change(Offset after, Offset upto, Change change) {
  CHECK(after < upto);
  split(after);
  split(upto);
  const std::size_t from = step_above(after);
  bool changed = false;
  std::size_t to = from;
  for (; to < steps_.size() && steps_[to].upto <= upto; ++to) {
    const ItemState state = change(steps_[to].state);
    changed |= state != steps_[to].state;
    steps_[to].state = state;
  }
  join(from, to);
  return changed;
}

void ReadState::fill(const Range& range, ItemState state) {
  change(range.after, range.upto, [state](ItemState) { return state; });
}

bool ReadState::apply(Mark mark, Offset after, Offset upto) {
  return change(after, upto, [mark](ItemState state) { return marked(state, mark); });
}

std::vector<ReadState::Range> ReadState::beside(Offset offset) const {
  const auto at = static_cast<std::size_t>(
      std::lower_bound(steps_.begin(), steps_.end(), offset,
                       [](const Step& s, Offset wanted) { return s.upto < wanted; }) -
      steps_.begin());
  std::vector<Range> out;
  const auto range = [this](std::size_t i) {
    return Range{i == 0 ? 0 : steps_[i - 1].upto, steps_[i].upto, steps_[i].state};
  };
  if (at > 0) out.push_back(range(at - 1));
  if (at + 1 < steps_.size()) out.push_back(range(at + 1));
  return out;
}

std::string ReadState::encode() const {
  std::string out;
  Offset after = 0;
  for (const Step& step : steps_) {
    put(out, step.upto - after);
    put(out, bits_of(step.state));
    after = step.upto;
  }
  return out;
}

Result<ReadState> ReadState::decode(std::string_view bytes) {
  ReadState state;
  Offset after = 0;
  while (!bytes.empty()) {
    const auto length = take(bytes);
    const auto bits = take(bytes);
    if (!length || !bits || *length == 0 || *bits > 7)
      return fail(Code::store_failed, "A read state of the store is malformed.");
    after += *length;
    state.steps_.push_back({after, state_of(*bits)});
  }
  return state;
}

}  // namespace belfry
