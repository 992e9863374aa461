#pragma once
// The feed in JSON: pages, marks, follows and mutes, and the data of the events that Belfry itself writes.
// The only place that knows those names.
//
//   POST /v1/feed/marks   {"mark":"read","ids":["<id>",…]}  or  {"mark":"read","upto":"<cursor>"}
//   PUT /v1/feed/mutes    {"topics":["teams/+"],"types":["sale.#"]}
//
// Values; any thread.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace belfry::wire {

// Data of belfry.mark, belfry.follow and belfry.unfollow, belfry.mutes, belfry.retract.
std::string mark_data(Mark mark, const std::vector<Cursor>& ids, const std::optional<Cursor>& upto,
                      FeedCounts counts);
std::string topic_data(std::string_view topic);
std::string mutes_data(const Mutes& mutes);
std::string id_data(Cursor id);
std::string user_data(std::string_view user);
std::string revocation_data(const Revocation& revocation);
// The change of a feed that such an event tells; nothing for other events.
std::optional<FeedChange> feed_change_of(const Event& event);

struct MarkBody {
  Mark mark = Mark::read;
  std::vector<Cursor> ids;
  std::optional<Cursor> upto;
};
Result<MarkBody> parse_mark_body(std::string_view text);
Result<Mutes> parse_mutes_body(std::string_view text);
// {"user":"…"} or {"token_id":"…"}, and {"not_before":"RFC 3339"} if not all up to `now`.
struct RevocationBody {
  Revocation revocation;
  bool so_far = true;  // there is no not_before
};
Result<RevocationBody> parse_revocation_body(std::string_view text, Timestamp now);

// {"topics":[…],"types":[…],"feed":true} or {"renew":"<ticket>"}
struct TicketBody {
  std::vector<std::string> topics, types;
  bool feed = false;
  std::string renew;
};
Result<TicketBody> parse_ticket_body(std::string_view text);
// {"ticket":"…","expires":"…"?}
std::string ticket_answer(std::string_view ticket, std::optional<Timestamp> expires);

struct FeedLine {
  const Event* event;
  ItemState state;
};
// {"notifications":[…],"counts":{…},"cursor":"…","next":"…"|null}
std::string feed_page(std::span<const FeedLine> lines, FeedCounts counts, std::string_view cursor,
                      std::string_view next);
// {"cursor":"…","changed":true,"counts":{…},"absent":[…]}
std::string mark_answer(bool changed, std::string_view cursor, FeedCounts counts,
                        const std::vector<Cursor>& absent);
// {"cursor":"…","changed":true}
std::string change_answer(bool changed, std::string_view cursor);
// {"topic":"…","users":[{"user":"…","since":"RFC 3339"}]}
std::string presence_answer(std::string_view topic,
                            const std::vector<std::pair<std::string, Timestamp>>& users);
// {"follows":["…"]}
std::string follows_answer(const std::vector<std::string>& topics);

}  // namespace belfry::wire
