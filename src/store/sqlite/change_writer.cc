#include "store/sqlite/change_writer.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "store/sqlite/feed_rows.h"

namespace belfry::sqlite {
namespace {

constexpr std::size_t kDueTogether = 16;  // principals of one slice
constexpr std::size_t kDueLookedAt = 256;

constexpr std::string_view kScheduled =
    "SELECT id, deliver_at, principal, topic, type, data, notification, key, expires, keys, spread_ms, "
    "version, issued, token_id FROM scheduled WHERE ";

Scheduled scheduled_of_row(const Statement& row) {
  Scheduled out;
  out.id = to_unsigned(row.integer(0));
  out.deliver_at = Timestamp{Duration{row.integer(1)}};
  out.principal = row.text(2);
  Event& event = out.event;
  event.topic = row.text(3);
  event.type = row.text(4);
  read_payload(event, row);
  out.issued = Timestamp{Duration{row.integer(12)}};
  out.token_id = row.text(13);
  return out;
}

}  // namespace

Result<void> ChangeWriter::prepare(Database& database) {
  database_ = &database;
  TRY(sources_.prepare(database));
  TRY(access_.prepare(database));
  TRY(erasure_.prepare(database));
  TRY(database.prepare(
      put_read_,
      "INSERT INTO users(name, read, counted_at, counted_removals, unread, unseen) VALUES(?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET read = excluded.read, counted_at = excluded.counted_at, counted_removals = "
      "excluded.counted_removals, unread = excluded.unread, unseen = excluded.unseen"));
  TRY(database.prepare(
      put_mutes_,
      "INSERT INTO users(name, muted_topics, muted_types) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET "
      "muted_topics = excluded.muted_topics, muted_types = excluded.muted_types, counted_at = NULL"));
  TRY(database.prepare(begin_follow_, "INSERT OR REPLACE INTO follows(user, topic, since) VALUES(?, ?, ?)"));
  TRY(database.prepare(end_follow_,
                       "UPDATE follows SET until = ? WHERE user = ? AND topic = ? AND until IS NULL"));
  TRY(database.prepare(forget_follow_,
                       "DELETE FROM follows WHERE user = ? AND topic = ? AND until IS NULL"));
  TRY(database.prepare(forget_counts_, "UPDATE users SET counted_at = NULL WHERE name = ?"));
  TRY(database.prepare(erase_user_, "DELETE FROM users WHERE name = ?"));
  TRY(database.prepare(erase_follows_, "DELETE FROM follows WHERE user = ?"));
  TRY(database.prepare(
      insert_scheduled_,
      "INSERT INTO scheduled(deliver_at, principal, topic, type, data, notification, key, expires, keys, "
      "spread_ms, version, issued, token_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  TRY(database.prepare(put_time_step_, "INSERT INTO time_steps(offset, was, time) VALUES(?, ?, ?)"));
  TRY(database.prepare(
      drop_time_steps_,
      "DELETE FROM time_steps WHERE offset = (SELECT offset FROM time_steps ORDER BY was - time, offset "
      "LIMIT 1) AND (SELECT count(*) FROM time_steps) > ?"));
  TRY(database.prepare(drop_scheduled_, "DELETE FROM scheduled WHERE id = ?"));
  TRY(database.prepare(select_due_,
                       std::string(kScheduled) + "deliver_at <= ? ORDER BY deliver_at, id LIMIT ?"));
  TRY(database.prepare(
      select_due_of_,
      std::string(kScheduled) + "principal = ? AND deliver_at <= ? ORDER BY deliver_at, id LIMIT ?"));
  TRY(database.prepare(
      select_principal_,
      "SELECT min(principal) FROM scheduled INDEXED BY scheduled_turns WHERE principal > ?"));
  TRY(database.prepare(select_waits_,
                       "SELECT 1 FROM scheduled WHERE principal = ? AND deliver_at <= ? LIMIT 1"));
  return database.prepare(select_scheduled_, std::string(kScheduled) + "id = ?");
}

Result<void> ChangeWriter::apply(const Change& change, Offset base, Committed& committed) {
  if (const auto* read = std::get_if<PutReadState>(&change)) return apply_one(*read);
  if (const auto* mutes = std::get_if<PutMutes>(&change)) return apply_one(*mutes);
  if (const auto* begin = std::get_if<BeginFollow>(&change)) return begin_follow(*begin, base);
  if (const auto* end = std::get_if<EndFollow>(&change)) return end_follow(*end, base);
  if (const auto* gone = std::get_if<Withdraw>(&change)) return withdraw(gone->offset, committed);
  if (const auto* user = std::get_if<EraseUser>(&change)) return erase(*user, committed);
  if (const auto* put = std::get_if<PutScheduled>(&change)) return schedule(put->scheduled, committed);
  if (const auto* revoke = std::get_if<PutRevocation>(&change)) return access_.put(revoke->revocation);
  if (const auto* used = std::get_if<PutTicket>(&change)) return access_.put(*used);
  if (const auto* step = std::get_if<PutTimeStep>(&change))
    return put_time_step(*step, base + 1 + step->event);
  if (const auto* position = std::get_if<PutPosition>(&change)) return sources_.put(position->position);
  if (const auto* forget = std::get_if<ForgetPositions>(&change)) return sources_.forget(forget->source);
  if (const auto* letter = std::get_if<PutDeadLetter>(&change)) return sources_.put(letter->letter);
  return drop_scheduled_.bind(1, to_signed(std::get<DropScheduled>(change).id)).run();
}

Result<void> ChangeWriter::put_time_step(const PutTimeStep& step, Offset first) {
  put_time_step_.bind(1, to_signed(first)).bind(2, step.was.value.count()).bind(3, step.time.value.count());
  TRY(put_time_step_.run());
  return drop_time_steps_.bind(1, to_signed(limits::time_steps_max)).run();
}

Result<void> ChangeWriter::apply_one(const PutReadState& change) {
  const std::string bytes = change.state.encode();
  put_read_.bind(1, std::string_view(change.user)).bind_blob(2, bytes);
  const KnownCounts known = change.counted.value_or(KnownCounts{});
  change.counted ? put_read_.bind(3, to_signed(known.at)) : put_read_.bind_null(3);
  return put_read_.bind(4, to_signed(known.removals))
      .bind(5, to_signed(known.counts.unread))
      .bind(6, to_signed(known.counts.unseen))
      .run();
}

Result<void> ChangeWriter::apply_one(const PutMutes& change) {
  const std::string topics = joined(change.mutes.topics);
  const std::string types = joined(change.mutes.types);
  return put_mutes_.bind(1, std::string_view(change.user))
      .bind(2, std::string_view(topics))
      .bind(3, std::string_view(types))
      .run();
}

Result<void> ChangeWriter::begin_follow(const BeginFollow& change, Offset base) {
  const std::int64_t topic = TRY(events_.topic_id(change.topic));
  return begin_follow_.bind(1, std::string_view(change.user))
      .bind(2, topic)
      .bind(3, to_signed(base + 1 + change.event))
      .run();
}

Result<void> ChangeWriter::end_follow(const EndFollow& change, Offset base) {
  const std::int64_t topic = TRY(events_.topic_id(change.topic));
  if (change.forget) {
    TRY(forget_counts_.bind(1, std::string_view(change.user)).run());
    return forget_follow_.bind(1, std::string_view(change.user)).bind(2, topic).run();
  }
  return end_follow_.bind(1, to_signed(base + 1 + change.event))
      .bind(2, std::string_view(change.user))
      .bind(3, topic)
      .run();
}

Result<void> ChangeWriter::withdraw(Offset offset, Committed& committed) {
  if (TRY(events_.remove(offset, EventWriter::Removal::withdrawn))) committed.withdrawn.push_back(offset);
  return {};
}

// REQUIRES: the index is complete up to the head before this group.
Result<void> ChangeWriter::erase(const EraseUser& change, Committed& committed) {
  EraseUser rest = change;
  for (bool more = true; more;) {
    const Erased erased = TRY(erasure_.take(rest, limits::housekeeping_rows_max));
    committed.withdrawn.insert(committed.withdrawn.end(), erased.withdrawn.begin(), erased.withdrawn.end());
    if (!erased.withdrawn.empty()) rest.after = erased.withdrawn.back();
    more = erased.more;
  }
  TRY(access_.forget_tickets_of("user:" + change.user));
  TRY(erase_user_.bind(1, std::string_view(change.user)).run());
  return erase_follows_.bind(1, std::string_view(change.user)).run();
}

Result<void> ChangeWriter::schedule(const Scheduled& scheduled, Committed& committed) {
  const Event& event = scheduled.event;
  Statement& row = insert_scheduled_;
  row.bind(1, scheduled.deliver_at.value.count()).bind(2, std::string_view(scheduled.principal));
  row.bind(3, std::string_view(event.topic)).bind(4, std::string_view(event.type));
  row.bind_text_or_null(5, event.data)
      .bind_text_or_null(6, event.notification)
      .bind_text_or_null(7, event.key);
  event.expires ? row.bind(8, event.expires->value.count()) : row.bind_null(8);
  row.bind_text_or_null(9, event.keys);
  event.spread_ms != 0 ? row.bind(10, std::int64_t{event.spread_ms}) : row.bind_null(10);
  row.bind_text_or_null(11, event.version).bind(12, scheduled.issued.value.count());
  TRY(row.bind(13, std::string_view(scheduled.token_id)).run());
  if (committed.first_scheduled == 0)
    committed.first_scheduled = to_unsigned(sqlite3_last_insert_rowid(database_->handle()));
  return {};
}

// Adds the principals that come next in turn and have something due, at most kDueTogether of them.
Result<void> ChangeWriter::add_principals_due(Timestamp now, std::set<std::string>& out) {
  std::string at = due_after_;
  bool round = false;
  std::size_t found = 0;
  for (std::size_t looked = 0; looked < kDueLookedAt && found < kDueTogether; ++looked) {
    const ResetAtEnd end(select_principal_);
    TRY(select_principal_.bind(1, std::string_view(at)).step());
    if (select_principal_.is_null(0)) {
      if (std::exchange(round, true)) break;
      at.clear();
      continue;
    }
    at = select_principal_.text(0);
    if (round && at > due_after_) break;
    const ResetAtEnd waits_end(select_waits_);
    if (!TRY(select_waits_.bind(1, std::string_view(at)).bind(2, now.value.count()).step())) continue;
    out.insert(at);
    ++found;
  }
  due_after_ = at;
  return {};
}

// In the order of their times; where more is due than asked for, each principal has an even part of it.
Result<std::vector<Scheduled>> ChangeWriter::due(Timestamp now, std::size_t rows_max) {
  std::vector<Scheduled> out;
  {
    const ResetAtEnd end(select_due_);
    select_due_.bind(1, now.value.count()).bind(2, to_signed(rows_max));
    while (TRY(select_due_.step())) out.push_back(scheduled_of_row(select_due_));
  }
  if (out.size() < rows_max) return out;
  std::set<std::string> principals;
  for (const Scheduled& row : out) principals.insert(row.principal);
  TRY(add_principals_due(now, principals));
  if (principals.size() == 1) return out;
  out.clear();
  const std::size_t part = std::max<std::size_t>(1, rows_max / principals.size());
  for (const std::string& principal : principals) {
    const ResetAtEnd end(select_due_of_);
    select_due_of_.bind(1, std::string_view(principal)).bind(2, now.value.count()).bind(3, to_signed(part));
    while (TRY(select_due_of_.step())) out.push_back(scheduled_of_row(select_due_of_));
  }
  std::sort(out.begin(), out.end(), [](const Scheduled& a, const Scheduled& b) {
    return std::tie(a.deliver_at, a.id) < std::tie(b.deliver_at, b.id);
  });
  return out;
}

Result<std::optional<Scheduled>> ChangeWriter::scheduled(std::uint64_t id) {
  const ResetAtEnd end(select_scheduled_);
  if (!TRY(select_scheduled_.bind(1, to_signed(id)).step())) return std::optional<Scheduled>{};
  return std::optional<Scheduled>{scheduled_of_row(select_scheduled_)};
}

}  // namespace belfry::sqlite
