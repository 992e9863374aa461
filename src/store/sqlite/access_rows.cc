#include "store/sqlite/access_rows.h"

namespace belfry::sqlite {

Result<void> AccessRows::prepare(Database& database) {
  database_ = &database;
  // A revocation only ever grows stronger.
  TRY(database.prepare(put_revocation_,
                       "INSERT INTO revocations VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET not_before = "
                       "max(not_before, excluded.not_before), forget = max(forget, excluded.forget)"));
  TRY(database.prepare(select_revocations_, "SELECT user, token_id, not_before, forget FROM revocations"));
  TRY(database.prepare(forget_revocations_,
                       "DELETE FROM revocations WHERE (user, token_id) IN (SELECT user, token_id FROM "
                       "revocations WHERE forget <= ? LIMIT ?)"));
  TRY(database.prepare(put_ticket_,
                       "INSERT INTO tickets VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET until = "
                       "max(until, excluded.until)"));
  TRY(database.prepare(select_tickets_, "SELECT id, principal, until FROM tickets ORDER BY until"));
  TRY(database.prepare(forget_ticket_, "DELETE FROM tickets WHERE id = ?"));
  TRY(database.prepare(forget_tickets_of_, "DELETE FROM tickets WHERE principal = ?"));
  return database.prepare(
      forget_tickets_,
      "DELETE FROM tickets WHERE id IN (SELECT id FROM tickets WHERE until <= ? LIMIT ?)");
}

Result<void> AccessRows::put(const Revocation& revocation) {
  return put_revocation_.bind(1, std::string_view(revocation.user))
      .bind(2, std::string_view(revocation.token_id))
      .bind(3, revocation.not_before.value.count())
      .bind(4, revocation.forget.value.count())
      .run();
}

Result<void> AccessRows::put(const PutTicket& change) {
  const UsedTicket& ticket = change.ticket;
  if (!change.forgotten.empty())
    TRY(forget_ticket_.bind(1, std::string_view(change.forgotten)).run());
  return put_ticket_.bind(1, std::string_view(ticket.id))
      .bind(2, std::string_view(ticket.principal))
      .bind(3, ticket.until.value.count())
      .run();
}

Result<void> AccessRows::forget_tickets_of(std::string_view principal) {
  return forget_tickets_of_.bind(1, principal).run();
}

Result<std::size_t> AccessRows::forget(Timestamp now, std::size_t rows_max) {
  const std::size_t revoked = TRY(forget_by(forget_revocations_, now, rows_max));
  return revoked + TRY(forget_by(forget_tickets_, now, rows_max - revoked));
}

Result<std::size_t> AccessRows::forget_by(Statement& statement, Timestamp now, std::size_t rows_max) {
  TRY(statement.bind(1, now.value.count()).bind(2, to_signed(rows_max)).run());
  return static_cast<std::size_t>(sqlite3_changes(database_->handle()));
}

Result<std::vector<Revocation>> AccessRows::revocations() {
  const ResetAtEnd end(select_revocations_);
  std::vector<Revocation> out;
  while (TRY(select_revocations_.step()))
    out.push_back({select_revocations_.text(0), select_revocations_.text(1),
                   Timestamp{Duration{select_revocations_.integer(2)}},
                   Timestamp{Duration{select_revocations_.integer(3)}}});
  return out;
}

Result<std::vector<UsedTicket>> AccessRows::tickets() {
  const ResetAtEnd end(select_tickets_);
  std::vector<UsedTicket> out;
  while (TRY(select_tickets_.step()))
    out.push_back({select_tickets_.text(0), select_tickets_.text(1),
                   Timestamp{Duration{select_tickets_.integer(2)}}});
  return out;
}

}  // namespace belfry::sqlite
