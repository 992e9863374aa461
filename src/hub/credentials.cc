// Sessions and the tokens behind them: renewed, revoked, replaced.

#include <algorithm>

#include "hub/shard_parts.h"

namespace belfry {

void Shard::renew(SessionId id, Timestamp expires, const Credential& credential) {
  Session* session = find(id);
  if (session == nullptr) return;
  parts_->deadlines[session->slot].expires = expires.value.count();
  parts_->credentials[session->slot] = credential;
}

template <class Concerned>
void Shard::end_where(Code code, Concerned concerned) {
  for (Session& session : parts_->sessions) {
    if (session.state == SessionState::free || !concerned(session, parts_->credentials[session.slot]))
      continue;
    Outlet* outlet = session.outlet;
    forget(session);
    outlet->end(code);
  }
}

void Shard::revoke(const Revocation& revocation, Timestamp now) {
  if (planted_.ignore_revocation) return;
  end_where(Code::token_revoked, [&](const Session&, Credential mine) {
    if (planted_.revoke_bystanders) mine.issued = {};
    return concerns(revocation, mine, now);
  });
}

void Shard::end_keys(const std::vector<std::uint64_t>& keys) {
  end_where(Code::token_revoked, [&](const Session&, const Credential& mine) {
    return std::find(keys.begin(), keys.end(), mine.key) != keys.end();
  });
}

void Shard::end_ticket(std::uint64_t ticket) {
  end_where(Code::replaced, [&](const Session& session, const Credential&) {
    return session.slot < parts_->tickets.size() && parts_->tickets[session.slot] == ticket;
  });
}

void Shard::end_all(Code code) {
  end_where(code, [](const Session&, const Credential&) { return true; });
}

void Shard::end_some(Code code, std::size_t count) {
  end_where(code, [&count](const Session&, const Credential&) { return count > 0 && count-- > 0; });
}

void Shard::end_blocked(Code code) {
  end_where(code, [](const Session& session, const Credential&) {
    return session.state == SessionState::blocked;
  });
}

void Shard::renew_ticket(std::uint64_t ticket, const Principal& principal) {
  for (std::size_t slot = 0; slot < parts_->tickets.size(); ++slot) {
    const Session& session = parts_->sessions[slot];
    if (session.state == SessionState::free || parts_->tickets[slot] != ticket) continue;
    std::vector<Selector> lost = selectors(session.id());
    std::erase_if(lost, [&](const Selector& selector) {
      return static_cast<bool>(authorize(principal.rights, Act::subscribe, selector.topic));
    });
    unsubscribe(session.id(), lost);
    renew(session.id(), principal.expires.value_or(Timestamp{Duration::max()}), credential_of(principal));
  }
}

}  // namespace belfry
