#pragma once
// The tickets that have opened their stream, and may do so again. What is not here opens within
// limits::ticket_first_use of its making, or never.
//
// Owner: server. Thread: any; one lock, taken once a stream that comes with a ticket.
// Bound: limits::tickets_per_user_max of a user, tickets_max in all; beyond it those go first that end
//        first.

#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "store/store.h"

namespace belfry {

class TicketBook {
 public:
  // As the store kept them.
  void load(std::span<const UsedTicket> tickets);
  bool knows(const std::string& id) const;
  // It opens its stream now, or counts until later than it did. Returns the changes to be stored: the row,
  // and an id that is forgotten instead, if any.
  PutTicket put(UsedTicket ticket);
  void forget(Timestamp now);
  // All of one principal.
  void forget_of(const std::string& principal);

 private:
  using Order = std::set<std::pair<Timestamp, std::string>>;  // end and id
  // REQUIRES: the lock, here and below.
  std::string make_room(const std::string& principal);
  void insert(const UsedTicket& ticket);
  void erase(const std::string& id);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, UsedTicket, KeyedHash> tickets_;  // by id
  std::unordered_map<std::string, Order, KeyedHash> of_principal_;
  Order all_;
};

}  // namespace belfry
