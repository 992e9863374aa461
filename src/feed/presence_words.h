#pragma once
// What a shard has to say to the presence book: who is attached to a topic through it, and who is no more.
// Of many who come and go, only the difference to what was said last is said, some of it at a time, each
// user in turn.
//
// Owner: a shard's thread. Thread: its own. Bound: an entry for each topic and user that is attached here,
// or of whom the book still thinks so.
// Always: once nothing changes any more and all words were taken, the book has what is here.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "log/log.h"

namespace belfry {

class PresenceWords {
 public:
  // One more session of the user on the topic, or one less.
  void joined(const std::string& topic, const std::string& user);
  void left(const std::string& topic, const std::string& user);
  // What is to be said next: at most limits::presence_words_max. Counts as said from then on.
  std::vector<PresenceWord> take();
  // They were not heard: they are said again.
  void take_back(const std::vector<PresenceWord>& words);
  // Nothing that was said counts any more.
  void say_all_again();
  bool empty() const { return waiting_.empty(); }
  std::size_t entries() const { return entries_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;  // topic, user
  struct Entry {
    std::uint32_t sessions = 0;
    bool said = false;     // the book thinks that the user is there
    bool waiting = false;  // stands in waiting_
  };
  void settle(std::map<Key, Entry>::iterator entry);

  std::map<Key, Entry> entries_;
  FairQueue<Key> waiting_{~std::size_t{0} / 2};
};

}  // namespace belfry
