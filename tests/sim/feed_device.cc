#include "feed_device.h"

#include <algorithm>
#include <sstream>

namespace belfry::sim {

OwnEventData plain_data() {
  return {
      [](Mark mark, const std::vector<Cursor>& ids, const std::optional<Cursor>& upto, FeedCounts counts) {
        std::string out = std::to_string(static_cast<int>(mark)) + ' ' + std::to_string(counts.unread) +
                          ' ' + std::to_string(counts.unseen) + ' ' +
                          std::to_string(upto ? upto->offset : 0);
        for (const Cursor id : ids) out += ' ' + std::to_string(id.offset);
        return out;
      },
      [](std::string_view topic) { return std::string(topic); },
      [](const Mutes& mutes) { return mutes.types.empty() ? std::string("-") : mutes.types[0]; },
      [](Cursor id) { return std::to_string(id.offset); },
      [](const Revocation&) { return std::string(); },
      [](std::string_view user) { return std::string(user); }};
}

std::optional<FeedChange> plain_feed_change(const Event& event) {
  if (event.type == follow_type) return FeedChange{FeedChange::Kind::follow, event.data, {}};
  if (event.type == unfollow_type) return FeedChange{FeedChange::Kind::unfollow, event.data, {}};
  if (event.type == erase_type) return FeedChange{FeedChange::Kind::erase, {}, {}};
  if (event.type != mutes_type) return std::nullopt;
  FeedChange change{FeedChange::Kind::mutes, {}, {}};
  if (event.data != "-") change.mutes.types = {event.data};
  return change;
}

PlainMark parse_plain_mark(const std::string& data) {
  std::istringstream text(data);
  PlainMark out;
  int mark = 0;
  text >> mark >> out.counts.unread >> out.counts.unseen >> out.upto;
  out.mark = static_cast<Mark>(mark);
  for (Offset id = 0; text >> id;) out.ids.push_back(id);
  return out;
}

void FeedReplica::mark(const PlainMark& mark) {
  for (auto& [offset, item] : items_) {
    const bool named = std::find(mark.ids.begin(), mark.ids.end(), offset) != mark.ids.end();
    if (named || offset <= mark.upto) item.state = marked(item.state, mark.mark);
  }
}

void FeedReplica::take(const Event& event, bool knows_follows) {
  if (event.type == retract_type) items_.erase(std::stoull(event.data));
  if (event.topic == own_ && event.type == mark_type) mark(parse_plain_mark(event.data));
  if (event.topic == own_ && event.type == erase_type) {
    items_.clear();
    follows_.clear();
    mutes_ = {};
  }
  if (event.topic == own_) {
    if (const auto change = plain_feed_change(event)) {
      if (change->kind == FeedChange::Kind::follow) follows_.insert(change->topic);
      if (change->kind == FeedChange::Kind::unfollow) follows_.erase(change->topic);
      if (change->kind == FeedChange::Kind::mutes) mutes_ = change->mutes;
      note_muted();
    }
  }
  if (!event.key.empty())
    std::erase_if(items_, [&](const auto& item) {
      return item.second.event.topic == event.topic && item.second.event.key == event.key;
    });
  if (event.notification.empty()) return;
  if (knows_follows && event.topic != own_ && !follows_.contains(event.topic)) return;
  items_[event.offset] = {event, {}};
  if (mutes_.hide(event.topic, event.type)) muted_.insert(event.offset);
}

void FeedReplica::note_muted() {
  for (const auto& [offset, item] : items_)
    if (mutes_.hide(item.event.topic, item.event.type)) muted_.insert(offset);
}

void FeedReplica::load(const FeedAnswer& page) {
  items_.clear();
  for (const FeedItem& item : page.items) items_[item.event.offset] = item;
}

void FeedReplica::prune(const std::function<bool(Offset)>& there) {
  std::erase_if(items_, [&](const auto& item) { return !there(item.first); });
}

FeedCounts FeedReplica::counts(Timestamp now) const {
  FeedCounts counts;
  for (const auto& [offset, item] : items_) {
    if (item.event.expired(now)) continue;
    if (mutes_.hide(item.event.topic, item.event.type)) continue;
    counts.unread += item.state.counts_unread() ? 1 : 0;
    counts.unseen += item.state.counts_unseen() ? 1 : 0;
  }
  return counts;
}

Written Device::write(std::span<const Entry* const> entries, Offset) {
  const std::size_t taken = std::min(room, entries.size());
  for (const Entry* entry : entries.first(taken)) {
    const Event& event = entry->event();
    const bool own = event.topic == user_topic(user);
    if (!own && event.notification.empty())
      violation_("device " + std::to_string(number_) + ": only_the_feed: " + event.topic + " " +
                 event.type);
    if (event.offset <= position)
      violation_("device " + std::to_string(number_) + ": in_order_once: " + std::to_string(event.offset));
    position = event.offset;
    if (event.offset > loaded_at) replica.take(event, false);
  }
  room -= taken;
  blocked = room == 0;
  return {taken, blocked ? OutletState::blocked : OutletState::open};
}

}  // namespace belfry::sim
