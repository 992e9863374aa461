#include "delivery/frame_run.h"

#include <gtest/gtest.h>

#include <optional>

namespace belfry {
namespace {

const std::string& data_of(const Entry& entry) { return entry.event().data; }
const std::string& type_of(const Entry& entry) { return entry.event().type; }

Event event(Offset offset, std::string type, std::string data) {
  Event out;
  out.offset = offset;
  out.type = std::move(type);
  out.data = std::move(data);
  return out;
}

std::vector<std::string> texts(std::span<const std::string_view> pieces) {
  return {pieces.begin(), pieces.end()};
}

bool adjacent(std::span<const std::string_view> pieces) {
  for (std::size_t i = 1; i < pieces.size(); ++i)
    if (pieces[i - 1].data() + pieces[i - 1].size() != pieces[i].data()) return false;
  return true;
}

using Texts = std::vector<std::string>;

TEST(FrameRun, PutsFramesSideBySideOnceForAll) {
  const Entry one(event(1, "a", "first")), two(event(2, "b", "second"));
  const Entry* entries[] = {&one, &two};
  FrameRun run;
  const auto pieces = run.of(entries, data_of);
  EXPECT_EQ(texts(pieces), (Texts{"first", "second"}));
  EXPECT_TRUE(adjacent(pieces));
  EXPECT_EQ(run.of(entries, data_of).front().data(), pieces.front().data());
}

TEST(FrameRun, TellsRunsApart) {
  const Entry one(event(1, "a", "first")), two(event(2, "b", "second")), three(event(3, "c", "third"));
  const Entry* both[] = {&one, &two};
  const Entry* others[] = {&one, &three};
  const Entry* all[] = {&one, &two, &three};
  const Entry* reversed[] = {&two, &one};
  FrameRun run;
  EXPECT_EQ(texts(run.of(both, data_of)), (Texts{"first", "second"}));
  EXPECT_EQ(texts(run.of(both, type_of)), (Texts{"a", "b"}));
  EXPECT_EQ(texts(run.of(others, type_of)), (Texts{"a", "c"}));
  EXPECT_EQ(texts(run.of(all, data_of)), (Texts{"first", "second", "third"}));
  EXPECT_EQ(texts(run.of(both, data_of)), (Texts{"first", "second"}));
  EXPECT_EQ(texts(run.of(reversed, data_of)), (Texts{"second", "first"}));
}

TEST(FrameRun, DoesNotDependOnWhereAnEntryLies) {
  FrameRun run;
  std::optional<Entry> place;
  const Entry last(event(9, "z", "last"));
  for (Offset offset = 1; offset < 4; ++offset) {
    place.emplace(event(offset, "a", std::to_string(offset)));
    const Entry* entries[] = {&*place, &last};
    EXPECT_EQ(texts(run.of(entries, data_of)), (Texts{std::to_string(offset), "last"}));
  }
}

TEST(FrameRun, LeavesEphemeralAndLargeOnesWhereTheyAre) {
  FrameRun run;
  std::optional<Entry> place;
  for (const char* text : {"one", "two"}) {
    place.emplace(event(0, "typing", text));
    const Entry* entries[] = {&*place, &*place};
    EXPECT_EQ(texts(run.of(entries, data_of)), (Texts{text, text}));
  }
  const Entry large(event(1, "a", std::string(limits::frame_run_bytes_max, 'x'))),
      small(event(2, "b", "y"));
  const Entry* entries[] = {&large, &small};
  EXPECT_EQ(run.of(entries, data_of)[0].data(), large.event().data.data());
  EXPECT_EQ(texts(run.of(entries, type_of)), (Texts{"a", "b"}));
}

}  // namespace
}  // namespace belfry
