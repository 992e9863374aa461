#include "api/ticket_book.h"

#include <algorithm>

namespace belfry {

void TicketBook::load(std::span<const UsedTicket> tickets) {
  const std::lock_guard lock(mutex_);
  for (const UsedTicket& ticket : tickets) {
    make_room(ticket.principal);
    insert(ticket);
  }
}

bool TicketBook::knows(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return tickets_.contains(id);
}

PutTicket TicketBook::put(UsedTicket ticket) {
  const std::lock_guard lock(mutex_);
  PutTicket change{ticket, {}};
  if (const auto known = tickets_.find(ticket.id); known != tickets_.end()) {
    change.ticket.until = std::max(ticket.until, known->second.until);
    erase(ticket.id);
  } else {
    change.forgotten = make_room(ticket.principal);
  }
  insert(change.ticket);
  return change;
}

void TicketBook::forget(Timestamp now) {
  const std::lock_guard lock(mutex_);
  while (!all_.empty() && all_.begin()->first <= now) erase(std::string(all_.begin()->second));
}

void TicketBook::forget_of(const std::string& principal) {
  const std::lock_guard lock(mutex_);
  while (of_principal_.contains(principal))
    erase(std::string(of_principal_.at(principal).begin()->second));
}

std::string TicketBook::make_room(const std::string& principal) {
  const auto mine = of_principal_.find(principal);
  const bool of_user = principal.starts_with("user:");
  std::string gone;
  if (of_user && mine != of_principal_.end() && mine->second.size() >= limits::tickets_per_user_max)
    gone = mine->second.begin()->second;
  else if (tickets_.size() >= limits::tickets_max)
    gone = all_.begin()->second;
  if (!gone.empty()) erase(gone);
  return gone;
}

void TicketBook::insert(const UsedTicket& ticket) {
  if (!tickets_.emplace(ticket.id, ticket).second) return;
  of_principal_[ticket.principal].emplace(ticket.until, ticket.id);
  all_.emplace(ticket.until, ticket.id);
}

void TicketBook::erase(const std::string& id) {
  const auto found = tickets_.find(id);
  if (found == tickets_.end()) return;
  const UsedTicket& ticket = found->second;
  all_.erase({ticket.until, id});
  const auto mine = of_principal_.find(ticket.principal);
  mine->second.erase({ticket.until, id});
  if (mine->second.empty()) of_principal_.erase(mine);
  tickets_.erase(found);
}

}  // namespace belfry
