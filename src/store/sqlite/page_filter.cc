#include "store/sqlite/page_filter.h"

namespace belfry::sqlite {

PageFilter::PageFilter(const PageRequest& request)
    : request_(request), topics_(request.selectors), asked_(request.selectors.size(), 0) {
  const auto& selectors = request.selectors;
  kinds_.reserve(selectors.size());
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    const bool same = i > 0 && selectors[i].types == selectors[i - 1].types &&
                      selectors[i].notifications_only == selectors[i - 1].notifications_only;
    kinds_.push_back(same ? kinds_.back() : i);
  }
}

bool PageFilter::wants(const Event& event) {
  ++event_;
  work_ += event.bytes() / limits::page_work_bytes;
  return topics_.any_of(event.topic, work_, [&](std::size_t index) {
    const std::size_t kind = kinds_[index];
    if (std::exchange(asked_[kind], event_) == event_) return false;
    work_ += request_.selectors[index].types.size();
    return accepts_kind(request_.selectors[index], event);
  });
}

}  // namespace belfry::sqlite
