#include "hub/tail_view.h"

#include <algorithm>

namespace belfry {

void TailView::restart(Offset low) {
  items_.clear();
  batches_.clear();
  topics_.clear();
  low_ = low;
}

TailView::Topic& TailView::add(const Entry& entry, const TopicIndex& index) {
  const Event& event = entry.event();
  CHECK(event.offset == head() + 1);
  auto it = topics_.find(std::string_view(event.topic));
  if (it == topics_.end()) {
    it = topics_.emplace(event.topic, std::make_unique<Topic>()).first;
    it->second->name = event.topic;
  }
  Topic& topic = *it->second;
  topic.offsets.push_back(event.offset);
  items_.push_back({&entry, &topic});
  if (topic.patterns_version != index.version()) {
    index.find(event.topic, topic.patterns);
    topic.patterns_version = index.version();
  }
  return topic;
}

void TailView::trim(Offset low) {
  while (low_ < low && !items_.empty()) {
    Topic& topic = *items_.front().topic;
    ++low_;
    items_.pop_front();
    if (++topic.first == topic.offsets.size()) {
      topics_.erase(topics_.find(std::string_view(topic.name)));
    } else if (topic.first * 2 > topic.offsets.size() && topic.first >= 16) {
      topic.offsets.erase(topic.offsets.begin(),
                          topic.offsets.begin() + static_cast<std::ptrdiff_t>(topic.first));
      topic.first = 0;
    }
  }
  while (!batches_.empty() && batches_.front()->last() <= low_) batches_.pop_front();
}

const TailView::Topic* TailView::topic(std::string_view name) const {
  const auto it = topics_.find(name);
  return it == topics_.end() ? nullptr : it->second.get();
}

void TailView::slice(const Session& session, Offset after, std::size_t entries_max, Slice& out) const {
  out.entries.clear();
  out.upto = head();
  const bool scan = std::any_of(session.memberships.begin(), session.memberships.end(),
                                [](const Membership& m) { return has_wildcard(m.group->selector.topic); });
  scan ? slice_by_scan(session, after, entries_max, out) : slice_by_topic(session, after, entries_max, out);
  cut(out);
}

// At the bound in bytes, and before what is lost.
void TailView::cut(Slice& out) {
  out.lost = false;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < out.entries.size(); ++i) {
    const bool lost = out.entries[i]->lost() != 0;
    if (lost || bytes >= limits::page_bytes_max) {
      out.lost = lost && i == 0;
      out.upto = out.entries[i]->event().offset - 1;
      out.entries.resize(i);
      return;
    }
    bytes += out.entries[i]->event().bytes();
  }
}

void TailView::slice_by_topic(const Session& session, Offset after, std::size_t entries_max,
                              Slice& out) const {
  // Each topic is looked at on its own account, so that every slice moves forward.
  const std::size_t look_max =
      std::max<std::size_t>(64, limits::page_scan_rows_max / (session.memberships.size() + 1));
  for (const auto& membership : session.memberships) {
    const Selector& selector = membership.group->selector;
    const Topic* found = topic(selector.topic);
    if (found == nullptr) continue;
    const auto begin = found->offsets.begin() + static_cast<std::ptrdiff_t>(found->first);
    std::size_t taken = 0;
    std::size_t looked_at = 0;
    for (auto it = std::upper_bound(begin, found->offsets.end(), after); it != found->offsets.end(); ++it) {
      if (*it > out.upto) break;  // beyond what another topic could be read to
      if (taken == entries_max || looked_at == look_max) {
        out.upto = *it - 1;
        break;
      }
      ++looked_at;
      const Entry& entry = at(*it);
      if (const std::uint64_t loss = entry.lost(); loss != 0 ? loss <= session.losses_known
                                                             : !accepts_kind(selector, entry.event()))
        continue;
      out.entries.push_back(&entry);
      ++taken;
    }
  }
  const auto offset_of = [](const Entry* entry) { return entry->event().offset; };
  std::sort(out.entries.begin(), out.entries.end(),
            [&](const Entry* a, const Entry* b) { return offset_of(a) < offset_of(b); });
  out.entries.erase(std::unique(out.entries.begin(), out.entries.end()), out.entries.end());
  if (out.entries.size() > entries_max) {
    out.upto = std::min(out.upto, offset_of(out.entries[entries_max]) - 1);
    out.entries.resize(entries_max);
  }
  while (!out.entries.empty() && offset_of(out.entries.back()) > out.upto) out.entries.pop_back();
}

void TailView::slice_by_scan(const Session& session, Offset after, std::size_t entries_max,
                             Slice& out) const {
  const Offset end = std::min<Offset>(head(), after + limits::page_scan_rows_max);
  out.upto = end;
  for (Offset at_offset = after + 1; at_offset <= end; ++at_offset) {
    const Entry& entry = at(at_offset);
    if (entry.event().topic.empty()) continue;  // a hole
    const std::uint64_t loss = entry.lost();
    if (loss != 0 && loss <= session.losses_known) continue;
    const auto wants = [&](const Membership& m) {
      const Selector& selector = m.group->selector;
      return loss != 0 ? matches(selector.topic, entry.event().topic) : accepts(selector, entry.event());
    };
    if (std::none_of(session.memberships.begin(), session.memberships.end(), wants)) continue;
    if (out.entries.size() == entries_max) {
      out.upto = at_offset - 1;
      return;
    }
    out.entries.push_back(&entry);
  }
}

}  // namespace belfry
