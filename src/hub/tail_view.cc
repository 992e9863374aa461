#include "hub/tail_view.h"

#include <algorithm>

namespace belfry {
namespace {

// As accepts_kind(), and counts the comparisons.
bool compare_kind(const Selector& selector, const Event& event, std::size_t& work) {
  if (selector.notifications_only && event.notification.empty()) return false;
  const auto matched = std::find_if(
      selector.types.begin(), selector.types.end(), [&](const std::string& type) {
        ++work;
        return matches(type, event.type, '.');
      });
  return selector.types.empty() || matched != selector.types.end();
}

}  // namespace

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

void TailView::slice(const Session& session, Offset after, Most most, Slice& out) const {
  out.entries.clear();
  out.upto = head();
  out.lost = false;
  out.work = out.bytes = 0;
  out.most = most;
  const bool scan = std::any_of(session.memberships.begin(), session.memberships.end(),
                                [](const Membership& m) { return has_wildcard(m.group->selector.topic); });
  scan ? slice_by_scan(session, after, out) : slice_by_topic(session, after, out);
}

// False: the slice ends before this entry.
bool TailView::take(const Entry& entry, std::uint64_t loss, Slice& out) {
  if (loss != 0 || out.entries.size() == out.most.entries || out.bytes >= limits::page_bytes_max) {
    out.lost = loss != 0 && out.entries.empty();
    return false;
  }
  out.entries.push_back(&entry);
  out.bytes += entry.event().bytes();
  return true;
}

// The rows of all topics asked for, merged by their offsets.
void TailView::slice_by_topic(const Session& session, Offset after, Slice& out) const {
  const auto later = [](const Slice::Walk& a, const Slice::Walk& b) { return *a.next > *b.next; };
  auto& walks = out.walks;
  walks.clear();
  for (const auto& membership : session.memberships) {
    ++out.work;
    const Selector& selector = membership.group->selector;
    const Topic* found = topic(selector.topic);
    if (found == nullptr) continue;
    const Offset* end = found->offsets.data() + found->offsets.size();
    const Offset* next = std::upper_bound(found->offsets.data() + found->first, end, after);
    if (next != end) walks.push_back({next, end, &selector});
  }
  std::make_heap(walks.begin(), walks.end(), later);
  const std::size_t work_max = out.work + out.most.work;
  while (!walks.empty()) {
    const Offset offset = *walks.front().next;
    const Entry& entry = at(offset);
    const std::uint64_t loss = entry.lost();
    bool wanted = false;
    while (!walks.empty() && *walks.front().next == offset) {
      std::pop_heap(walks.begin(), walks.end(), later);
      Slice::Walk& walk = walks.back();
      ++out.work;
      wanted = wanted || (loss != 0 ? loss > session.losses_known
                                    : compare_kind(*walk.selector, entry.event(), out.work));
      ++walk.next == walk.end ? walks.pop_back() : std::push_heap(walks.begin(), walks.end(), later);
    }
    if (wanted && !take(entry, loss, out)) {
      out.upto = offset - 1;
      return;
    }
    if (out.work >= work_max && !walks.empty()) {
      out.upto = *walks.front().next - 1;  // nothing that is asked for lies between
      return;
    }
  }
}

void TailView::slice_by_scan(const Session& session, Offset after, Slice& out) const {
  const Offset end = std::min<Offset>(head(), after + limits::page_scan_rows_max);
  for (out.upto = after; out.upto < end && out.work < out.most.work; ++out.upto) {
    ++out.work;
    const Entry& entry = at(out.upto + 1);
    const Event& event = entry.event();
    if (event.topic.empty()) continue;  // a hole
    const std::uint64_t loss = entry.lost();
    if (loss != 0 && loss <= session.losses_known) continue;
    const auto wants = [&](const Membership& m) {
      ++out.work;
      const Selector& selector = m.group->selector;
      return matches(selector.topic, event.topic) && (loss != 0 || compare_kind(selector, event, out.work));
    };
    if (std::none_of(session.memberships.begin(), session.memberships.end(), wants)) continue;
    if (!take(entry, loss, out)) return;
  }
}

}  // namespace belfry
