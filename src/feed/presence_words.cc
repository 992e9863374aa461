#include "feed/presence_words.h"

namespace belfry {

void PresenceWords::joined(const std::string& topic, const std::string& user) {
  const auto entry = entries_.try_emplace({topic, user}).first;
  ++entry->second.sessions;
  settle(entry);
}

void PresenceWords::left(const std::string& topic, const std::string& user) {
  const auto entry = entries_.find({topic, user});
  if (entry == entries_.end() || entry->second.sessions == 0) return;
  --entry->second.sessions;
  settle(entry);
}

// Lets it wait for its word, or go.
void PresenceWords::settle(std::map<Key, Entry>::iterator entry) {
  Entry& row = entry->second;
  const bool here = row.sessions > 0;
  if (here != row.said && !row.waiting) {
    row.waiting = true;
    CHECK(waiting_.push({0, keyed_hash(entry->first.second)}, 1, 0, Key(entry->first)));
  }
  if (!here && !row.said && !row.waiting) entries_.erase(entry);
}

std::vector<PresenceWord> PresenceWords::take() {
  std::vector<PresenceWord> out;
  while (out.size() < limits::presence_words_max) {
    auto popped = waiting_.pop();
    if (!popped) break;
    const auto entry = entries_.find(popped->item);
    Entry& row = entry->second;
    row.waiting = false;
    const bool here = row.sessions > 0;
    if (here != row.said) {
      row.said = here;
      out.push_back({entry->first.first, entry->first.second, here});
    }
    settle(entry);  // one who came and went meanwhile is forgotten, and nothing is said
  }
  return out;
}

void PresenceWords::take_back(const std::vector<PresenceWord>& words) {
  for (const PresenceWord& word : words) {
    const auto entry = entries_.try_emplace({word.topic, word.user}).first;
    entry->second.said = !word.here;
    settle(entry);
  }
}

void PresenceWords::say_all_again() {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    entry->second.said = false;
    settle(entry);
    entry = next;
  }
}

}  // namespace belfry
