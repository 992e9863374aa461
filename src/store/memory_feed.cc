#include "store/memory_feed.h"

#include <algorithm>
#include <set>

namespace belfry {

Result<UserRows> MemoryFeedRows::user(std::string_view user) {
  const auto found = disk_.users.find(std::string(user));
  if (found == disk_.users.end()) return UserRows{};
  const MemoryDisk::UserRow& row = found->second;
  return UserRows{row.follows, row.read, row.mutes, row.counted};
}

Result<std::uint64_t> MemoryFeedRows::count(const FeedSpan& span, const Mutes& mutes) {
  std::uint64_t total = 0;
  for (auto it = disk_.log.upper_bound(span.after); it != disk_.log.end() && it->first <= span.upto; ++it) {
    ++work_;
    const Event& event = it->second;
    if (event.topic != span.topic || event.notification.empty()) continue;
    if (!mutes.hide(event.topic, event.type)) ++total;
  }
  return total;
}

Result<std::vector<std::uint64_t>> MemoryFeedRows::tally(std::span<const FeedSpan> spans,
                                                         const Mutes& mutes,
                                                         std::span<const OffsetRange> ranges) {
  std::vector<std::uint64_t> out;
  for (const OffsetRange& range : ranges) {
    std::uint64_t total = 0;
    for (FeedSpan span : spans) {
      span.after = std::max(span.after, range.after);
      span.upto = std::min(span.upto, range.upto);
      total += TRY(count(span, mutes));
    }
    out.push_back(total);
  }
  return out;
}

Result<std::uint64_t> MemoryFeedRows::removals(std::span<const FeedSpan> spans) {
  std::set<std::string_view> topics;
  for (const FeedSpan& span : spans) topics.insert(span.topic);
  std::uint64_t total = 0;
  for (const std::string_view topic : topics) {
    const auto found = disk_.removals.find(std::string(topic));
    if (found != disk_.removals.end()) total += found->second * (keyed_hash(topic) | 1u);
  }
  return total;
}

Result<std::vector<Event>> MemoryFeedRows::newest(std::span<const FeedSpan> spans, const Mutes& mutes,
                                                  std::span<const OffsetRange> ranges,
                                                  std::size_t items_max) {
  std::vector<Event> out;
  const auto within = [](const auto& part, Offset at) { return at > part.after && at <= part.upto; };
  for (auto it = disk_.log.rbegin(); it != disk_.log.rend() && out.size() < items_max; ++it) {
    ++work_;
    const Event& event = it->second;
    if (event.notification.empty() || mutes.hide(event.topic, event.type)) continue;
    const bool asked = std::any_of(spans.begin(), spans.end(), [&](const FeedSpan& span) {
      return span.topic == event.topic && within(span, event.offset);
    });
    if (asked && std::any_of(ranges.begin(), ranges.end(),
                             [&](const OffsetRange& range) { return within(range, event.offset); }))
      out.push_back(event);
  }
  return out;
}

Result<Offset> MemoryFeedRows::floor(std::string_view topic) {
  const auto found = disk_.topics.find(std::string(topic));
  return found == disk_.topics.end() ? Offset{0} : found->second.floor;
}

Result<std::optional<Event>> MemoryFeedRows::event_at(Offset offset) {
  const auto found = disk_.log.find(offset);
  if (found == disk_.log.end()) return std::optional<Event>{};
  return std::optional<Event>{found->second};
}

Result<std::optional<Event>> MemoryFeedRows::item_at(Offset offset) {
  auto event = event_at(offset);
  if (event && event.value()) event.value()->data.clear();
  return event;
}

bool remove_event(MemoryDisk& disk, Offset offset) {
  const auto found = disk.log.find(offset);
  if (found == disk.log.end()) return false;
  if (!found->second.notification.empty()) ++disk.removals[found->second.topic];
  disk.topics[found->second.topic].empty_since.reset();
  disk.plain.erase(offset);
  disk.log.erase(found);
  return true;
}

Erased take_some(MemoryDisk& disk, const EraseUser& erasure, std::size_t rows_max) {
  const std::string topic = user_topic(erasure.user), principal = "user:" + erasure.user;
  Erased erased;
  const auto room = [&] { return erased.rows < rows_max; };
  for (auto it = disk.log.upper_bound(erasure.after); it != disk.log.end() && room();) {
    const auto event = it++;
    if (event->second.topic != topic) continue;
    erased.withdrawn.push_back(event->first);
    ++erased.rows;
    remove_event(disk, erased.withdrawn.back());
  }
  std::erase_if(disk.scheduled, [&](const auto& row) {
    const bool goes = row.second.event.topic == topic || row.second.principal == principal;
    return goes && room() && ++erased.rows > 0;
  });
  std::erase_if(disk.keys, [&](const auto& row) {
    return row.second.principal == principal && room() && ++erased.rows > 0;
  });
  erased.more = !room();
  return erased;
}

namespace {

bool apply_source_change(MemoryDisk& disk, const Change& change) {
  if (const auto* put = std::get_if<PutPosition>(&change)) {
    disk.positions[{put->position.source, put->position.part}] = put->position;
  } else if (const auto* forget = std::get_if<ForgetPositions>(&change)) {
    std::erase_if(disk.positions, [forget](const auto& row) { return row.first.first == forget->source; });
  } else if (const auto* put_letter = std::get_if<PutDeadLetter>(&change)) {
    DeadLetter letter = put_letter->letter;
    letter.id = ++disk.last_dead_letter;
    disk.dead_letters.emplace(letter.id, std::move(letter));
    if (disk.dead_letters.size() > limits::dead_letters_max)
      disk.dead_letters.erase(disk.dead_letters.begin());
  } else {
    return false;
  }
  return true;
}

void erase_user(MemoryDisk& disk, const EraseUser& erasure, Committed& committed) {
  const Erased erased = take_some(disk, erasure, ~std::size_t{0});
  committed.withdrawn.insert(committed.withdrawn.end(), erased.withdrawn.begin(), erased.withdrawn.end());
  disk.users.erase(erasure.user);
  const std::string principal = "user:" + erasure.user;
  std::erase_if(disk.tickets, [&](const auto& row) { return row.second.principal == principal; });
}

void end_follow(MemoryDisk& disk, const EndFollow& end, Offset at) {
  const auto open = [&](const Follow& follow) { return follow.topic == end.topic && !follow.to; };
  if (end.forget) {
    std::erase_if(disk.users[end.user].follows, open);
    disk.users[end.user].counted.reset();
    return;
  }
  for (Follow& follow : disk.users[end.user].follows)
    if (open(follow)) follow.to = at;
}

void put_revocation(MemoryDisk& disk, const Revocation& revocation) {
  Revocation& row = disk.revocations.try_emplace({revocation.user, revocation.token_id}, revocation)
                        .first->second;
  row.not_before = std::max(row.not_before, revocation.not_before);
  row.forget = std::max(row.forget, revocation.forget);
}

void put_scheduled(MemoryDisk& disk, Scheduled scheduled, Committed& committed) {
  scheduled.id = ++disk.last_scheduled;
  if (committed.first_scheduled == 0) committed.first_scheduled = scheduled.id;
  disk.scheduled.emplace(scheduled.id, std::move(scheduled));
}

}  // namespace

void apply_change(MemoryDisk& disk, const Change& change, Offset base, Committed& committed) {
  if (apply_source_change(disk, change)) return;
  if (const auto* read = std::get_if<PutReadState>(&change)) {
    disk.users[read->user].read = read->state;
    disk.users[read->user].counted = read->counted;
  } else if (const auto* mutes = std::get_if<PutMutes>(&change)) {
    disk.users[mutes->user].mutes = mutes->mutes;
    disk.users[mutes->user].counted.reset();
  } else if (const auto* begin = std::get_if<BeginFollow>(&change)) {
    disk.users[begin->user].follows.push_back({begin->topic, base + 1 + begin->event, std::nullopt});
  } else if (const auto* end = std::get_if<EndFollow>(&change)) {
    end_follow(disk, *end, base + 1 + end->event);
  } else if (const auto* gone = std::get_if<Withdraw>(&change)) {
    if (remove_event(disk, gone->offset)) committed.withdrawn.push_back(gone->offset);
  } else if (const auto* user = std::get_if<EraseUser>(&change)) {
    erase_user(disk, *user, committed);
  } else if (const auto* put = std::get_if<PutScheduled>(&change)) {
    put_scheduled(disk, put->scheduled, committed);
  } else if (const auto* revoke = std::get_if<PutRevocation>(&change)) {
    put_revocation(disk, revoke->revocation);
  } else if (const auto* used = std::get_if<PutTicket>(&change)) {
    disk.tickets.erase(used->forgotten);
    UsedTicket& row = disk.tickets.try_emplace(used->ticket.id, used->ticket).first->second;
    row.until = std::max(row.until, used->ticket.until);
  } else if (const auto* step = std::get_if<PutTimeStep>(&change)) {
    disk.time_line.add(base + 1 + step->event, step->was, step->time);
  } else {
    disk.scheduled.erase(std::get<DropScheduled>(change).id);
  }
}

std::vector<Offset> swept(const MemoryDisk& disk, std::span<const RetentionRule> rules, const Now& now,
                          std::size_t rows_max) {
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> last;  // plain, own; of each topic
  for (const auto& [offset, event] : disk.log)
    last[event.topic] = {disk.plain.at(offset), event.seq - disk.plain.at(offset)};
  std::vector<Offset> out;
  std::map<std::string, bool> kept;  // topics whose oldest event stays
  for (const auto& [offset, event] : disk.log) {
    if (out.size() == rows_max) break;
    const auto rule = std::find_if(rules.begin(), rules.end(), [&event = event](const RetentionRule& r) {
      return matches(r.pattern, event.topic);
    });
    if (rule == rules.end()) continue;
    const std::uint64_t plain = disk.plain.at(offset);
    const auto [last_plain, last_own] = last[event.topic];
    const bool old = rule->age && disk.time_line.older(offset, event.time, *rule->age, now);
    const bool surplus = rule->events && plain + *rule->events <= last_plain;
    const bool own = event.type.starts_with(own_types);
    const bool surplus_own = own && rule->events && event.seq - plain + *rule->events <= last_own;
    if (!kept[event.topic] && !old && !surplus) kept[event.topic] = true;
    if (!kept[event.topic] || surplus_own) out.push_back(offset);
  }
  return out;
}

}  // namespace belfry
