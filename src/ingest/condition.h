#pragma once
// A condition on a record: the `when` of a mapping.
//
//   op == 'update' and before.status != 'paid' and after.status == 'paid'
//   type in ('created', 'moved') or not (retain)
//
// Comparisons == != < <= > >=, `in (…)`, and, or, not, brackets; literals are 'text', numbers, true, false
// and null. A path by itself holds if something is there that is neither false, 0 nor ''. Numbers are
// compared as numbers (a text of digits too, because databases write some numbers so), everything else as
// text; what is not there is null, and null is equal to null only. Values; any thread.

#include <boost/json/value.hpp>
#include <memory>
#include <string_view>

#include "base/base.h"

namespace belfry::ingest {

class Condition {
 public:
  // Always holds.
  Condition();
  ~Condition();
  Condition(Condition&&) noexcept;
  Condition& operator=(Condition&&) noexcept;

  // Code::config_invalid, with the reason and where it is.
  static Result<Condition> parse(std::string_view text);
  bool holds(const boost::json::value& record) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
};

}  // namespace belfry::ingest
