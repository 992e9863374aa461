#pragma once
// Which events belong into a page, and how much work it takes to tell. Private to sqlite/.
//
// Bound: limits::page_work_max comparisons, and those of one event more.

#include <vector>

#include "store/store.h"

namespace belfry::sqlite {

class PageFilter {
 public:
  // The request outlives the filter.
  explicit PageFilter(const PageRequest& request);

  const PageRequest& request() const { return request_; }
  const PatternSet& topics() const { return topics_; }
  // Whether a selector accepts the event. Its topic is looked at first, then each list of types once.
  bool wants(const Event& event);
  // The page is to end after the event that was looked at last.
  bool spent() const { return work_ >= limits::page_work_max; }

 private:
  const PageRequest& request_;
  PatternSet topics_;
  std::vector<std::size_t> kinds_;  // by selector: the first of those before it that ask for the same types
  std::vector<std::size_t> asked_;  // by kind: the event for which it was asked last
  std::size_t event_ = 0;           // counts the events
  std::size_t work_ = 0;            // comparisons so far
};

}  // namespace belfry::sqlite
