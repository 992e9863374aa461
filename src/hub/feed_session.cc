// A session that gets its user's feed. What is followed changes by events of the user's own topic, so at
// every position the session follows what the user followed there: live, behind and after a return alike.

#include <algorithm>

#include "hub/shard_parts.h"

namespace belfry {
namespace {

// Belfry's own events reach the feed whatever types were asked for.
const std::vector<std::string> kOwnTypes{std::string(own_types) + "#"};

}  // namespace

// Whether the feed asks for it, not the client.
bool Shard::of_feed(const Session& session, const Selector& selector) const {
  if (selector.notifications_only) return true;
  if (!session.has_feed || selector.topic != session.feed->own_topic) return false;
  return selector.types == session.feed->types || selector.types == kOwnTypes;
}

std::vector<Selector> Shard::selectors(SessionId id) const {
  std::vector<Selector> out;
  const Session* session = find(id);
  if (session == nullptr) return out;
  for (const auto& membership : session->memberships)
    if (!of_feed(*session, membership.group->selector)) out.push_back(membership.group->selector);
  return out;
}

// Those that the client asks for already, or its feed does, take no room.
bool Shard::has_room(const Session& session, const std::vector<Selector>& more) const {
  std::vector<const Selector*> own;
  for (const auto& membership : session.memberships)
    if (!of_feed(session, membership.group->selector)) own.push_back(&membership.group->selector);
  for (const Selector& selector : more) {
    const auto same = [&](const Selector* known) { return *known == selector; };
    if (std::none_of(own.begin(), own.end(), same) && !of_feed(session, selector)) own.push_back(&selector);
  }
  return own.size() <= limits::stream_topics_max;
}

void Shard::attach_feed(Session& session, Attach& attach) {
  session.has_feed = true;
  session.feed = std::make_unique<FeedPart>();
  session.feed->own_topic = user_topic(attach.feed_of);
  session.feed->user = std::move(attach.feed_of);
  session.feed->types = std::move(attach.feed_types);
  const Selector own{session.feed->own_topic, session.feed->types};
  parts_->index.join(session, own);
  if (!own.types.empty()) parts_->index.join(session, {own.topic, kOwnTypes});
}

bool Shard::changes_feed(const Session& session, const Event& event) const {
  return event.topic == session.feed->own_topic && event.type.starts_with(own_types) &&
         event.type != mark_type && options_.feed_change_of != nullptr;
}

bool Shard::hidden(const Session& session, const Event& event) const {
  const Mutes& mutes = session.feed->mutes;
  if (event.notification.empty() || mutes.empty() || planted_.ignore_mutes) return false;
  parts_->work += mutes.topics.size() + mutes.types.size();
  return mutes.hide(event.topic, event.type);
}

// What follows a change of the feed is not offered with it: it is read with other follows. Null if none.
const Entry* Shard::cut_at_change(const Session& session, std::vector<const Entry*>& entries,
                                  Offset& upto) const {
  if (!session.has_feed) return nullptr;
  const auto change = std::find_if(entries.begin(), entries.end(), [&](const Entry* entry) {
    return changes_feed(session, entry->event());
  });
  if (change == entries.end()) return nullptr;
  const Entry* found = *change;
  entries.erase(std::next(change), entries.end());
  upto = found->event().offset;
  return found;
}

// The event that changes the feed is met again on the way of those who are behind, one write at a time.
void Shard::hold_before(Session& session, Offset offset) {
  session.position = offset - 1;
  make_ready(session);
}

void Shard::take_follows(Session& session, Page& page) {
  FeedPart& feed = *session.feed;
  // Changes of follows between the position and this floor are gone.
  if (page.floor > std::max(session.position, feed.follows_at) && !planted_.ignore_follow_floor) {
    feed.follows_at = page.floor;
    if (!session.from_earliest && page.floor > session.floor_known) session.reset = ResetReason::horizon;
    session.floor_known = std::max(session.floor_known, page.floor);
    return make_ready(session);
  }
  feed.mutes = std::move(page.mutes);
  feed.follows_known = true;
  for (const auto& topic : page.follows) join_feed(session, topic);
  session.memberships.shrink_to_fit();
  make_ready(session);
}

// A reset is to be told: whatever was followed is asked for again.
void Shard::follow_anew(Session& session) {
  leave_feed(session);
  session.feed->follows_known = false;
}

void Shard::join_feed(Session& session, const std::string& topic) {
  parts_->index.join(session, {topic, session.feed->types, true});
}

// The user was erased: nothing is followed any more.
void Shard::leave_feed(Session& session) { parts_->index.leave_followed(session); }

// The event was taken by the outlet: what follows it is read with the new follows.
void Shard::change_feed(Session& session, const Event& event) {
  auto change = options_.feed_change_of(event);
  if (!change) return;
  switch (change->kind) {
    case FeedChange::Kind::follow:
      join_feed(session, change->topic);
      break;
    case FeedChange::Kind::unfollow:
      parts_->index.leave(session, {change->topic, session.feed->types, true});
      break;
    case FeedChange::Kind::mutes:
      session.feed->mutes = std::move(change->mutes);
      break;
    case FeedChange::Kind::erase:
      session.feed->mutes = {};
      leave_feed(session);
      break;
  }
}

}  // namespace belfry
