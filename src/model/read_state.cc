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

std::vector<ReadState::Range> ReadState::ranges() const {
  std::vector<Range> out;
  Offset after = 0;
  for (const Step& step : steps_) {
    out.push_back({after, step.upto, step.state});
    after = step.upto;
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

void ReadState::join() {
  std::vector<Step> joined;
  for (const Step& step : steps_) {
    if (!joined.empty() && joined.back().state == step.state) {
      joined.back().upto = step.upto;
    } else {
      joined.push_back(step);
    }
  }
  while (!joined.empty() && joined.back().state == ItemState{}) joined.pop_back();
  steps_ = std::move(joined);
}

void ReadState::set(Offset after, Offset upto, ItemState state) {
  split(after);
  split(upto);
  for (Step& step : steps_)
    if (step.upto > after && step.upto <= upto) step.state = state;
  join();
}

bool ReadState::apply(Mark mark, Offset after, Offset upto) {
  CHECK(after < upto);
  const std::vector<Step> before = steps_;
  split(after);
  split(upto);
  for (Step& step : steps_)
    if (step.upto > after && step.upto <= upto) step.state = marked(step.state, mark);
  join();
  return steps_ != before;
}

std::vector<ReadState::Range> ReadState::beside(Offset offset) const {
  const std::vector<Range> all = ranges();
  std::vector<Range> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (offset <= all[i].after || offset > all[i].upto) continue;
    if (i > 0) out.push_back(all[i - 1]);
    if (i + 2 < all.size()) out.push_back(all[i + 1]);
  }
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
