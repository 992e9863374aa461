#include "store/sqlite/event_writer.h"

namespace belfry::sqlite {
namespace {

constexpr std::size_t kTouchedMax = 100'000;
constexpr std::size_t kLanesForgotten = 64;  // at once

}  // namespace

std::vector<std::int64_t> EventWriter::take_touched(std::size_t most) {
  std::vector<std::int64_t> out;
  while (out.size() < most && !touched_.empty())
    out.push_back(touched_.extract(touched_.begin()).value());
  return out;
}

Result<void> EventWriter::prepare(Database& database) {
  database_ = &database;
  TRY(database.prepare(insert_event_, "INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  TRY(database.prepare(insert_topic_, "INSERT INTO topics(name, floor, last_seq) VALUES(?, 0, 0)"));
  TRY(database.prepare(select_topic_, "SELECT id, last_seq, last_plain FROM topics WHERE name = ?"));
  TRY(database.prepare(select_newest_,
                       "SELECT seq, plain FROM events WHERE offset = " + std::string(newest_sql)));
  TRY(database.prepare(
      select_row_,
      "SELECT topic, seq, plain, type, notification IS NOT NULL, key, expires FROM events WHERE offset = "
      "?"));
  TRY(database.prepare(delete_event_, "DELETE FROM events WHERE offset = ?"));
  TRY(database.prepare(keep_last_,
                       "UPDATE topics SET floor = max(floor, ?), last_seq = max(last_seq, ?), last_plain = "
                       "max(last_plain, ?), empty_since = NULL WHERE id = ?"));
  TRY(database.prepare(select_keyed_, "SELECT offset FROM keyed WHERE topic = ? AND key = ?"));
  TRY(database.prepare(put_keyed_, "INSERT OR REPLACE INTO keyed VALUES(?, ?, ?)"));
  TRY(database.prepare(delete_keyed_, "DELETE FROM keyed WHERE topic = ? AND key = ? AND offset = ?"));
  TRY(database.prepare(put_expiry_, "INSERT OR IGNORE INTO expiry VALUES(?, ?)"));
  TRY(database.prepare(delete_expiry_, "DELETE FROM expiry WHERE expires = ? AND offset = ?"));
  TRY(notifications_.prepare(database));
  return index_.prepare(database);
}

Result<void> EventWriter::restart(Offset indexed) {
  index_.restart(indexed);
  topics_.clear();
  notifications_.restart();
  Statement rows =
      TRY(database_->prepare("SELECT e.offset, e.topic, e.seq, t.name, e.plain, t.last_seq, t.last_plain "
                             "FROM events e JOIN topics "
                             "t ON t.id = e.topic WHERE e.offset > ? ORDER BY e.offset"));
  rows.bind(1, to_signed(indexed));
  while (TRY(rows.step())) {
    index_.add(rows.integer(1), to_unsigned(rows.integer(0)));
    if (touched_.size() < kTouchedMax) touched_.insert(rows.integer(1));
    topics_.put(rows.text(3), {rows.integer(1), to_unsigned(std::max(rows.integer(2), rows.integer(5))),
                               to_unsigned(std::max(rows.integer(4), rows.integer(6)))});
  }
  return {};
}

Result<TopicState*> EventWriter::topic_of(const std::string& name) {
  if (TopicState* known = topics_.find(name)) return known;
  TopicState state;
  {
    const ResetAtEnd end(select_topic_);
    if (TRY(select_topic_.bind(1, std::string_view(name)).step()))
      state = {select_topic_.integer(0), to_unsigned(select_topic_.integer(1)),
               to_unsigned(select_topic_.integer(2))};
  }
  if (state.id == 0) {
    TRY(insert_topic_.bind(1, std::string_view(name)).run());
    state.id = sqlite3_last_insert_rowid(database_->handle());
  } else {
    const ResetAtEnd end(select_newest_);
    if (TRY(select_newest_.bind(1, state.id).step())) {
      state.last_seq = std::max(state.last_seq, to_unsigned(select_newest_.integer(0)));
      state.last_plain = std::max(state.last_plain, to_unsigned(select_newest_.integer(1)));
    }
  }
  return &topics_.put(name, state);
}

Result<std::int64_t> EventWriter::topic_id(const std::string& name) { return TRY(topic_of(name))->id; }

Result<Offset> EventWriter::insert(Event& event) {
  TopicState& topic = *TRY(topic_of(event.topic));
  event.seq = ++topic.last_seq;
  if (!event.type.starts_with(own_types)) ++topic.last_plain;
  // Taken out first: what replaces the newest notification then takes its number too.
  Offset replaced = 0;
  if (!event.key.empty()) replaced = TRY(replace_key(topic.id, event));
  TRY(insert_row(event, topic));
  index_.add(topic.id, event.offset, sizeof(Event) + event.bytes());
  if (touched_.size() < kTouchedMax) touched_.insert(topic.id);
  if (!event.notification.empty()) TRY(notifications_.add(topic.id, event.type, event.offset));
  if (event.expires)
    TRY(put_expiry_.bind(1, event.expires->value.count()).bind(2, to_signed(event.offset)).run());
  return replaced;
}

Result<Offset> EventWriter::replace_key(std::int64_t topic, const Event& event) {
  Offset earlier = 0;
  {
    const ResetAtEnd end(select_keyed_);
    if (TRY(select_keyed_.bind(1, topic).bind(2, std::string_view(event.key)).step()))
      earlier = to_unsigned(select_keyed_.integer(0));
  }
  if (earlier != 0) TRY(remove(earlier, Removal::withdrawn, &event));
  TRY(put_keyed_.bind(1, topic)
          .bind(2, std::string_view(event.key))
          .bind(3, to_signed(event.offset))
          .run());
  return earlier;
}

Result<void> EventWriter::insert_row(const Event& event, const TopicState& topic) {
  Statement& row = insert_event_;
  row.bind(1, to_signed(event.offset)).bind(2, topic.id).bind(3, to_signed(event.seq));
  row.bind(4, std::string_view(event.type)).bind(5, event.time.value.count());
  row.bind_text_or_null(6, event.data)
      .bind_text_or_null(7, event.notification)
      .bind_text_or_null(8, event.key);
  event.expires ? row.bind(9, event.expires->value.count()) : row.bind_null(9);
  row.bind_text_or_null(10, event.keys);
  event.spread_ms != 0 ? row.bind(11, std::int64_t{event.spread_ms}) : row.bind_null(11);
  return row.bind_text_or_null(12, event.version).bind(13, to_signed(topic.last_plain)).run();
}

Result<bool> EventWriter::forget_lanes(std::int64_t topic) {
  return notifications_.forget_lanes(topic, kLanesForgotten);
}

Result<bool> EventWriter::remove(Offset offset, Removal removal, const Event* next) {
  std::int64_t topic = 0, seq = 0, plain = 0, expires = 0;
  bool notifies = false, has_expiry = false;
  std::string type, key;
  {
    const ResetAtEnd end(select_row_);
    if (!TRY(select_row_.bind(1, to_signed(offset)).step())) return false;
    topic = select_row_.integer(0);
    seq = select_row_.integer(1);
    plain = select_row_.integer(2);
    type = select_row_.text(3);
    notifies = select_row_.integer(4) != 0;
    key = select_row_.text(5);
    has_expiry = !select_row_.is_null(6);
    expires = select_row_.integer(6);
  }
  TRY(delete_event_.bind(1, to_signed(offset)).run());
  index_.forget(topic, offset);
  const bool refilled = next != nullptr && next->type == type && !next->notification.empty();
  if (notifies) TRY(notifications_.remove(topic, type, offset, refilled));
  if (!key.empty())
    TRY(delete_keyed_.bind(1, topic).bind(2, std::string_view(key)).bind(3, to_signed(offset)).run());
  if (has_expiry) TRY(delete_expiry_.bind(1, expires).bind(2, to_signed(offset)).run());
  // Numbers are not given twice, also when the newest row of a topic is gone.
  const std::int64_t floor = removal == Removal::trimmed ? to_signed(offset) : 0;
  TRY(keep_last_.bind(1, floor).bind(2, seq).bind(3, plain).bind(4, topic).run());
  return true;
}

}  // namespace belfry::sqlite
