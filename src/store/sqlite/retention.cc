#include "store/sqlite/retention.h"

#include <algorithm>
#include <utility>

namespace belfry::sqlite {
namespace {

constexpr std::int64_t kTopicsVisited = 64;
constexpr std::size_t kTopicsKept = 100'000;
constexpr std::size_t kNewsTaken = 1024;    // at once
constexpr std::int64_t kNamesPassed = 512;  // that no rule is for
constexpr std::int64_t kExpiredBytes = 2 * 1024 * 1024;
constexpr std::int64_t kPagesFreed = 512;   // 2 MiB: a large event has pages of its own, each to be walked

}  // namespace

Result<void> Retention::prepare(Database& database) {
  TRY(database.prepare(select_oldest_,
                       "SELECT offset FROM events WHERE offset <= ? ORDER BY offset LIMIT ?"));
  TRY(database.prepare(select_topics_, "SELECT id, name FROM topics WHERE id > ? ORDER BY id LIMIT ?"));
  TRY(database.prepare(select_free_, "PRAGMA freelist_count"));
  TRY(database.prepare(select_name_, "SELECT name FROM topics WHERE id = ?"));
  TRY(database.prepare(select_newest_,
                       "SELECT plain FROM events WHERE offset = " + std::string(newest_sql)));
  TRY(database.prepare(select_rows_,
                       "SELECT e.offset, e.plain, e.time FROM topic_offsets i CROSS JOIN events e ON "
                       "e.offset = i.rowid WHERE i.topic_offsets MATCH ? AND i.rowid > max(?, " +
                           std::string(trimmed_sql) + ") ORDER BY i.rowid LIMIT ?"));
  TRY(database.prepare(
      select_last_own_,
      "SELECT max(seq - plain) FROM events INDEXED BY events_own WHERE topic = ? AND type >= 'belfry.' "
      "AND type < 'belfry/'"));
  TRY(database.prepare(
      select_own_,
      "SELECT offset FROM events INDEXED BY events_own WHERE topic = ? AND seq - plain <= ? AND type >= "
      "'belfry.' AND type < 'belfry/' ORDER BY seq - plain LIMIT ?"));
  TRY(database.prepare(select_expired_,
                       "SELECT x.offset, coalesce(length(e.data), 0) FROM expiry x LEFT JOIN events e "
                       "ON e.offset = x.offset WHERE x.expires <= ? ORDER BY x.expires LIMIT ?"));
  TRY(database.prepare(select_floor_, "SELECT coalesce(max(floor), 0) FROM topics WHERE floor > 0"));
  return database.prepare(
      forget_keys_,
      "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE time < ? LIMIT ?)");
}

Result<std::vector<Offset>> Retention::trim(Offset upto, std::size_t rows_max) {
  std::vector<Offset> old;
  {
    const ResetAtEnd end(select_oldest_);
    select_oldest_.bind(1, to_signed(upto)).bind(2, to_signed(rows_max));
    while (TRY(select_oldest_.step())) old.push_back(to_unsigned(select_oldest_.integer(0)));
  }
  TRY(remove(old));
  return old;
}

// As many as free kPagesFreed pages of the database; the others go next time.
Result<void> Retention::remove(std::vector<Offset>& offsets) {
  const std::int64_t before = TRY(free_pages());
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    TRY(events_.remove(offsets[i], EventWriter::Removal::trimmed));
    if (TRY(free_pages()) - before < kPagesFreed) continue;
    offsets.resize(i + 1);
  }
  return {};
}

Result<std::int64_t> Retention::free_pages() {
  const ResetAtEnd end(select_free_);
  TRY(select_free_.step());
  return select_free_.integer(0);
}

Result<const RetentionRule*> Retention::rule_of(std::span<const RetentionRule> rules, std::int64_t topic) {
  const ResetAtEnd end(select_name_);
  if (!TRY(select_name_.bind(1, topic).step())) return nullptr;
  const std::string name = select_name_.text(0);
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const RetentionRule& r) { return matches(r.pattern, name); });
  return rule == rules.end() ? nullptr : &*rule;
}

void Retention::restart() {
  begins_.clear();
  for (const std::int64_t topic : std::exchange(looked_at_, {})) look_again(topic);
}

void Retention::look_again(std::int64_t topic) {
  if (news_.size() < kTopicsKept && in_news_.insert(topic).second) news_.push_back(topic);
}

Result<bool> Retention::has_news(std::span<const RetentionRule> rules) {
  bool found = false;
  for (const std::int64_t topic : events_.take_touched(kNewsTaken)) {
    if (TRY(rule_of(rules, topic)) == nullptr) continue;
    look_again(topic);
    found = true;
  }
  return found;
}

Result<std::vector<Retention::Topic>> Retention::next_topics(std::span<const RetentionRule> rules) {
  std::vector<Topic> out;
  for (std::int64_t taken = 0; taken < kTopicsVisited && !news_.empty(); ++taken) {
    const std::int64_t topic = news_.front();
    news_.pop_front();
    in_news_.erase(topic);
    if (const RetentionRule* rule = TRY(rule_of(rules, topic))) out.push_back({topic, rule});
  }
  std::int64_t seen = 0, found = 0;
  const ResetAtEnd end(select_topics_);
  select_topics_.bind(1, visited_).bind(2, kNamesPassed);
  while (found < kTopicsVisited && TRY(select_topics_.step())) {
    ++seen;
    visited_ = select_topics_.integer(0);
    const std::string name = select_topics_.text(1);
    const auto rule = std::find_if(rules.begin(), rules.end(),
                                   [&](const RetentionRule& r) { return matches(r.pattern, name); });
    if (rule == rules.end()) continue;
    out.push_back({visited_, &*rule});
    ++found;
  }
  if (seen < kNamesPassed && found < kTopicsVisited) visited_ = 0;  // round and round
  looked_at_.clear();
  for (const Topic& topic : out) looked_at_.push_back(topic.id);
  return out;
}

Result<std::vector<Offset>> Retention::sweep(std::span<const RetentionRule> rules, const Now& now,
                                             std::size_t rows_max) {
  if (rules.empty()) return std::vector<Offset>{};
  const std::vector<Topic> topics = TRY(next_topics(rules));
  std::vector<Offset> old;
  for (const Topic& topic : topics) {
    // Not finished with it, or not begun: it is met again, behind the others.
    if (old.size() >= rows_max) {
      look_again(topic.id);
      continue;
    }
    TRY(find_old(topic, now, rows_max, old));
    TRY(find_own(topic, rows_max, old));
    if (old.size() >= rows_max) look_again(topic.id);
  }
  std::sort(old.begin(), old.end());
  old.erase(std::unique(old.begin(), old.end()), old.end());
  const std::size_t found = old.size();
  TRY(remove(old));
  if (old.size() < found) {
    begins_.clear();  // not all that was found is gone
    for (const Topic& topic : topics) look_again(topic.id);
  }
  return old;
}

// From the oldest end of the topic, up to the first event that is to be kept.
Result<void> Retention::find_old(const Topic& topic, const Now& now, std::size_t rows_max,
                                 std::vector<Offset>& out) {
  std::int64_t kept_above = -1;
  if (topic.rule->events) {
    const ResetAtEnd end(select_newest_);
    if (TRY(select_newest_.bind(1, topic.id).step()))
      kept_above = select_newest_.integer(0) - to_signed(*topic.rule->events);
  }
  const ResetAtEnd end(select_rows_);
  if (begins_.size() >= kTopicsKept) begins_.clear();
  Offset& begin = begins_[topic.id];
  select_rows_.bind(1, topic.id).bind(2, to_signed(begin)).bind(3, to_signed(rows_max));
  while (out.size() < rows_max && TRY(select_rows_.step())) {
    const bool surplus = select_rows_.integer(1) <= kept_above;
    const Offset offset = to_unsigned(select_rows_.integer(0));
    const Timestamp dated{Duration{select_rows_.integer(2)}};
    const bool old = topic.rule->age && time_line_.older(offset, dated, *topic.rule->age, now);
    if (!surplus && !old) break;
    begin = offset;
    out.push_back(begin);
  }
  return {};
}

// Belfry's own events (marks, follows) have the same number to themselves.
Result<void> Retention::find_own(const Topic& topic, std::size_t rows_max, std::vector<Offset>& out) {
  if (!topic.rule->events) return {};
  std::int64_t surplus = 0;
  {
    const ResetAtEnd end(select_last_own_);
    TRY(select_last_own_.bind(1, topic.id).step());
    surplus = select_last_own_.integer(0) - to_signed(*topic.rule->events);
  }
  if (surplus <= 0) return {};
  const ResetAtEnd end(select_own_);
  select_own_.bind(1, topic.id).bind(2, surplus).bind(3, to_signed(rows_max));
  while (out.size() < rows_max && TRY(select_own_.step()))
    out.push_back(to_unsigned(select_own_.integer(0)));
  return {};
}

Result<std::vector<Offset>> Retention::expired(Timestamp now, std::size_t rows_max) {
  std::vector<Offset> out;
  const ResetAtEnd end(select_expired_);
  select_expired_.bind(1, now.value.count()).bind(2, to_signed(rows_max));
  std::int64_t bytes = 0;
  while (bytes < kExpiredBytes && TRY(select_expired_.step())) {
    out.push_back(to_unsigned(select_expired_.integer(0)));
    bytes += select_expired_.integer(1);
  }
  return out;
}

Result<Offset> Retention::highest_floor() {
  const ResetAtEnd end(select_floor_);
  TRY(select_floor_.step());
  return to_unsigned(select_floor_.integer(0));
}

Result<std::size_t> Retention::forget_keys(Timestamp before, std::size_t rows_max) {
  TRY(forget_keys_.bind(1, before.value.count()).bind(2, to_signed(rows_max)).run());
  return static_cast<std::size_t>(events_.rows_changed());
}

}  // namespace belfry::sqlite
