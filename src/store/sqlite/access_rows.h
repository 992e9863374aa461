#pragma once
// Who may not come in any more, and who has come in by a ticket. Private to sqlite/.
//
// Owner: ChangeWriter. Thread: the log-writer; put and forget inside a transaction.
// Bound: a row for each user or token revoked and for each ticket used, until its time is over.

#include "store/sqlite/schema.h"
#include "store/store.h"

namespace belfry::sqlite {

class AccessRows {
 public:
  Result<void> prepare(Database& database);

  Result<void> put(const Revocation& revocation);
  Result<void> put(const PutTicket& change);
  Result<void> forget_tickets_of(std::string_view principal);
  // Whose time is over; at most `rows_max`. Returns how many went.
  Result<std::size_t> forget(Timestamp now, std::size_t rows_max);

  Result<std::vector<Revocation>> revocations();
  Result<std::vector<UsedTicket>> tickets();

 private:
  Result<std::size_t> forget_by(Statement& statement, Timestamp now, std::size_t rows_max);

  Database* database_ = nullptr;
  Statement put_revocation_, select_revocations_, forget_revocations_, put_ticket_, select_tickets_,
      forget_tickets_, forget_tickets_of_, forget_ticket_;
};

}  // namespace belfry::sqlite
