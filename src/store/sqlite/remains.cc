#include "store/sqlite/remains.h"

#include <algorithm>
#include <utility>

#include "store/feed_steps.h"

namespace belfry::sqlite {
namespace {

constexpr std::chrono::hours kRest{1};
constexpr std::uint64_t kWork = 20'000;  // steps of SQLite, about 2 ms with what it writes
constexpr std::uint64_t kCostOfRow = 64;  // of one that is looked at; a question of FTS5 is no steps
constexpr std::size_t kRangesLookedAt = 256;
constexpr std::size_t kStepsPerCost = 8;  // of a read state that is decoded

}  // namespace

Result<void> Remains::prepare(Database& database) {
  database_ = &database;
  TRY(database.prepare(select_lane_,
                       "SELECT id, topic, type FROM lanes WHERE id > ? AND type <> ? ORDER BY id LIMIT 1"));
  TRY(database.prepare(
      select_follow_,
      "SELECT f.user, f.topic, f.since, f.until, f.empty_since, t.floor FROM follows f LEFT JOIN topics t "
      "ON t.id = f.topic WHERE f.until IS NOT NULL AND (f.until, f.user, f.topic, f.since) > (?, ?, ?, ?) "
      "ORDER BY f.until, f.user, f.topic, f.since LIMIT 1"));
  TRY(database.prepare(select_held_,
                       "SELECT 1 FROM lanes l CROSS JOIN notifications n ON n.lane = l.id WHERE l.topic = ? "
                       "AND n.offset > ? AND n.offset <= ? LIMIT 1"));
  TRY(database.prepare(
      mark_follow_, "UPDATE follows SET empty_since = ? WHERE user = ? AND topic = ? AND since = ?"));
  TRY(database.prepare(delete_follow_, "DELETE FROM follows WHERE user = ? AND topic = ? AND since = ?"));
  TRY(database.prepare(forget_counts_, "UPDATE users SET counted_at = NULL WHERE name = ?"));
  TRY(database.prepare(select_topic_,
                       "SELECT id, name, floor, empty_since FROM topics WHERE id > ? ORDER BY id LIMIT 1"));
  TRY(database.prepare(select_followed_, "SELECT 1 FROM follows WHERE topic = ? LIMIT 1"));
  TRY(database.prepare(select_event_,
                       "SELECT 1 FROM topic_offsets WHERE topic_offsets MATCH ? AND rowid > " +
                           std::string(trimmed_sql) + " ORDER BY rowid DESC LIMIT 1"));
  TRY(database.prepare(mark_topic_, "UPDATE topics SET empty_since = ? WHERE id = ?"));
  TRY(database.prepare(delete_keyed_, "DELETE FROM keyed WHERE topic = ?"));
  TRY(database.prepare(delete_topic_, "DELETE FROM topics WHERE id = ?"));
  TRY(database.prepare(raise_forgotten_,
                       "UPDATE meta SET value = max(value, ?) WHERE name = 'forgotten'"));
  TRY(database.prepare(select_forgotten_, forgotten_sql));
  TRY(database.prepare(select_user_, "SELECT name FROM users WHERE name > ? ORDER BY name LIMIT 1"));
  TRY(database.prepare(put_read_, "UPDATE users SET read = ? WHERE name = ?"));
  return database.prepare(delete_user_, "DELETE FROM users WHERE name = ?");
}

void Remains::restart() { begin_round(Part::lanes); }

void Remains::begin_round(Part first) {
  part_ = first;
  lane_ = 0;
  follow_ = {};
  topic_ = 0;
  user_.clear();
  step_ = 0;
}

// A clock that was put back does not make a rest longer.
bool Remains::rests(Timestamp now) const { return now < rests_until_ && rests_until_ <= now + kRest; }

Result<std::size_t> Remains::forget(Timestamp now, std::size_t rows_max) {
  const std::uint64_t begin = database_->work();
  went_ = marked_ = 0;
  cost_ = 0;
  waiting_ = events_.index().waiting();
  while (went_ + marked_ < rows_max && database_->work() - begin + cost_ < kWork) {
    cost_ += kCostOfRow;
    if (TRY(look(now))) continue;
    if (part_ != Part::users) {
      part_ = static_cast<Part>(static_cast<int>(part_) + 1);
      continue;
    }
    begin_round(Part::follows);
    rests_until_ = now + kRest;
    return went_;
  }
  return went_ + 1;  // the round goes on
}

Result<bool> Remains::look(Timestamp now) {
  if (part_ == Part::lanes) return look_at_lane();
  if (part_ == Part::follows) return look_at_follow(now);
  return part_ == Part::topics ? look_at_topic(now) : look_at_user();
}

template <class Mark>
Result<bool> Remains::is_over(const Statement& row, int column, Timestamp now, Mark mark) {
  if (!row.is_null(column)) {
    const Timestamp since{Duration{row.integer(column)}};
    if (since <= now) return since <= now + -limits::remains_kept;
  }
  ++marked_;
  TRY(mark());
  return false;
}

Result<bool> Remains::finds(Statement& statement) {
  const ResetAtEnd end(statement);
  return statement.step();
}

Result<void> Remains::raise_forgotten(Offset floor) {
  return raise_forgotten_.bind(1, to_signed(floor)).run();
}

Result<Offset> Remains::forgotten() {
  const ResetAtEnd end(select_forgotten_);
  TRY(select_forgotten_.step());
  return to_unsigned(select_forgotten_.integer(0));
}

Result<bool> Remains::look_at_lane() {
  const ResetAtEnd end(select_lane_);
  if (!TRY(select_lane_.bind(1, lane_).bind(2, gone_lane).step())) return false;
  lane_ = select_lane_.integer(0);
  const std::int64_t topic = select_lane_.integer(1);
  if (TRY(events_.drop_lane_if_empty(topic, select_lane_.text(2), lane_))) ++went_;
  return true;
}

// Whoever was away while it was followed is told by the row what retention took meanwhile. Where that is
// nothing, the row says nothing.
Result<bool> Remains::look_at_follow(Timestamp now) {
  const ResetAtEnd end(select_follow_);
  select_follow_.bind(1, to_signed(follow_.until)).bind(2, std::string_view(follow_.user));
  select_follow_.bind(3, follow_.topic).bind(4, to_signed(follow_.since));
  if (!TRY(select_follow_.step())) return false;
  EndedFollow next{select_follow_.text(0), select_follow_.integer(1), to_unsigned(select_follow_.integer(2)),
                   to_unsigned(select_follow_.integer(3))};
  const Offset floor = std::min(to_unsigned(select_follow_.integer(5)), next.until);
  select_held_.bind(1, next.topic).bind(2, to_signed(next.since)).bind(3, to_signed(next.until));
  if (!TRY(finds(select_held_))) {
    const bool lost = floor > next.since;
    const auto mark = [&] {
      mark_follow_.bind(1, now.value.count()).bind(2, std::string_view(next.user));
      return mark_follow_.bind(3, next.topic).bind(4, to_signed(next.since)).run();
    };
    if (!lost || TRY(is_over(select_follow_, 4, now, mark))) TRY(forget_follow(next, lost ? floor : 0));
  }
  follow_ = std::move(next);
  return true;
}

Result<void> Remains::forget_follow(const EndedFollow& follow, Offset lost) {
  ++went_;
  if (lost > 0) TRY(raise_forgotten(lost));
  TRY(forget_counts_.bind(1, std::string_view(follow.user)).run());
  return delete_follow_.bind(1, std::string_view(follow.user))
      .bind(2, follow.topic)
      .bind(3, to_signed(follow.since))
      .run();
}

Result<bool> Remains::is_empty(const Topic& topic) {
  if (waiting_.contains(topic.id)) return false;
  select_followed_.bind(1, topic.id);
  if (TRY(finds(select_followed_))) return false;
  const std::string term = std::to_string(topic.id);
  select_event_.bind(1, std::string_view(term));
  return !TRY(finds(select_event_));
}

Result<bool> Remains::look_at_topic(Timestamp now) {
  const ResetAtEnd end(select_topic_);
  if (!TRY(select_topic_.bind(1, topic_).step())) return false;
  const Topic topic{select_topic_.integer(0), select_topic_.text(1), to_unsigned(select_topic_.integer(2))};
  topic_ = topic.id;
  if (!TRY(is_empty(topic))) {
    if (select_topic_.is_null(3)) return true;
    ++marked_;
    TRY(mark_topic_.bind_null(1).bind(2, topic.id).run());
    return true;
  }
  const auto mark = [&] { return mark_topic_.bind(1, now.value.count()).bind(2, topic.id).run(); };
  if (TRY(is_over(select_topic_, 3, now, mark))) TRY(forget_topic(topic));
  return true;
}

// Its lanes first, some at a time.
Result<void> Remains::forget_topic(const Topic& topic) {
  // Counts of its user are true as long as its lanes say so.
  const std::string user = user_of_topic(topic.name);
  if (!user.empty()) TRY(forget_counts_.bind(1, std::string_view(user)).run());
  const bool all = TRY(events_.forget_lanes(topic.id));
  ++went_;
  if (!all) {
    topic_ = topic.id - 1;  // once more
    return {};
  }
  TRY(raise_forgotten(topic.floor));
  TRY(delete_keyed_.bind(1, topic.id).run());
  TRY(delete_topic_.bind(1, topic.id).run());
  events_.forget_topic(topic.name);
  return {};
}

Result<bool> Remains::look_at_user() {
  if (step_ == 0) {
    const ResetAtEnd end(select_user_);
    if (!TRY(select_user_.bind(1, std::string_view(user_)).step())) return false;
    user_ = select_user_.text(0);
  }
  const auto known = feed_rows_.user(user_);
  if (!known) {
    // One row that cannot be read is its user's trouble, not the store's.
    log_warn("the state of a user cannot be read", {{"error", known.error().text()}});
    step_ = 0;
    return true;
  }
  const UserRows& rows = known.value();
  cost_ += rows.read.steps() / kStepsPerCost;
  ReadState read = rows.read;
  step_ = TRY(forget_steps(feed_rows_, user_, rows, step_, kRangesLookedAt, read));
  if (read != rows.read) {
    ++went_;
    const std::string bytes = read.encode();
    TRY(put_read_.bind_blob(1, bytes).bind(2, std::string_view(user_)).run());
  }
  if (read.steps() > 0 || !rows.mutes.empty() || !rows.follows.empty()) return true;
  ++went_;
  TRY(delete_user_.bind(1, std::string_view(user_)).run());
  return true;
}

Result<void> drop_epochs(Database& database) {
  const std::string sql =
      "DELETE FROM epochs WHERE rowid NOT IN (SELECT max(rowid) FROM epochs GROUP BY first_offset) AND "
      "rowid > (SELECT min(rowid) FROM epochs) AND rowid NOT IN (SELECT rowid FROM epochs ORDER BY rowid "
      "DESC LIMIT " + std::to_string(epochs_spared) + ");"
      "DELETE FROM epochs WHERE rowid <= (SELECT rowid FROM epochs ORDER BY rowid DESC LIMIT 1 OFFSET " +
      std::to_string(epochs_max) + ")";
  return database.execute(sql.c_str());
}

}  // namespace belfry::sqlite
