#include "api/accept.h"

#include <gtest/gtest.h>

namespace belfry {
namespace {

TEST(Accept, Table) {
  EXPECT_EQ(accepted_form(""), StreamForm::poll);
  EXPECT_EQ(accepted_form("*/*"), StreamForm::poll);
  EXPECT_EQ(accepted_form("text/event-stream"), StreamForm::sse);
  EXPECT_EQ(accepted_form("Text/Event-Stream; charset=utf-8, */*;q=0.1"), StreamForm::sse);
  EXPECT_EQ(accepted_form("application/x-ndjson"), StreamForm::json_lines);
  EXPECT_EQ(accepted_form("application/json, text/event-stream;q=0.5"), StreamForm::poll);
  EXPECT_EQ(accepted_form("text/*"), StreamForm::sse);
  EXPECT_EQ(accepted_form("text/html"), StreamForm::none);
  EXPECT_EQ(accepted_form("application/json;q=0"), StreamForm::none);
}

}  // namespace
}  // namespace belfry
