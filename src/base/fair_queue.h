#pragma once
// A queue in which nobody waits behind all that one other has put in. Each owner has a lane, lanes take
// turns by what their items cost, and classes of owners take turns in the same way: whoever was given least
// is next. (Start-time fair queueing: Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996.)
//
// Owner: whoever has it. Thread: the owner's; FairMailbox (fair_mailbox.h) is the one between threads.
// Bound: items and bytes given at construction, of all lanes together. A lane may hold at most as much as is
// still free, so one owner alone fills half, and there is always room for a newcomer. (Choudhury, Hahne,
// "Dynamic Queue Length Thresholds", IEEE/ACM ToN 1998, alpha = 1.)
// Always: items of one lane come out in the order they went in. An owner that comes back after its lane was
// empty stands behind whoever waits already and was given least; a class pays for what it was given as
// long as another one waits.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace belfry {

// Whose turn an item takes: a hash of the owner's name, and the class.
struct Turn {
  static constexpr std::size_t classes = 2;
  std::size_t owner_class = 0;  // below `classes`
  std::uint64_t owner = 0;
  bool operator==(const Turn&) const = default;
};

template <class Item>
class FairQueue {
 public:
  explicit FairQueue(std::size_t items_max, std::size_t bytes_max = ~std::size_t{0})
      : items_max_(items_max), bytes_max_(bytes_max) {}

  // `cost` in any unit, the same for all items; at least 1 counts. False: the owner's lane is full; the item
  // is then untouched.
  [[nodiscard]] bool push(Turn turn, std::uint64_t cost, std::size_t bytes, Item&& item) {
    OwnerClass& of = classes_[turn.owner_class];
    const auto found = of.lanes.find(turn.owner);
    const std::size_t held = found == of.lanes.end() ? 0 : found->second.items.size();
    const std::size_t held_bytes = found == of.lanes.end() ? 0 : found->second.bytes;
    const auto room = [](std::size_t most, std::size_t taken) { return most - std::min(most, taken); };
    if (held >= room(items_max_, items_) || held_bytes + bytes > room(bytes_max_, bytes_)) return false;
    // Where nobody waits there is nothing to share: all begin anew.
    if (items_ == 0)
      for (const OwnerClass& each : classes_) now_ = std::max(now_, each.served);
    if (of.order.empty()) of.served = std::max(of.served, now_);
    Lane& lane = found == of.lanes.end() ? new_lane(of, turn.owner) : found->second;
    if (lane.items.empty()) {
      if (!of.order.empty()) of.now = std::max(of.now, std::get<0>(*of.order.begin()));
      lane.served = of.now;
      enter(of, lane, turn.owner);
    }
    lane.items.emplace_back(std::move(item), std::max<std::uint64_t>(cost, 1), bytes);
    lane.bytes += bytes;
    ++items_;
    bytes_ += bytes;
    return true;
  }

  struct Popped {
    Popped(Item&& from, Turn of, std::size_t size, std::uint64_t stands)
        : item(std::move(from)), turn(of), bytes(size), served(stands) {}
    Item item;
    Turn turn;
    std::size_t bytes;
    std::uint64_t served;  // where its lane stands now
  };
  std::optional<Popped> pop() {
    return pop_if([](const Item&) { return true; });
  }
  // Nothing if the item whose turn it is does not suit; it keeps its turn.
  template <class Suits>
  std::optional<Popped> pop_if(Suits suits) {
    OwnerClass* next = nullptr;
    for (OwnerClass& each : classes_)
      if (!each.order.empty() && (next == nullptr || comes_before(each, *next))) next = &each;
    std::optional<Popped> out;
    if (next == nullptr) return out;
    const auto [served, place, owner] = *next->order.begin();
    const auto lane = next->lanes.find(owner);
    Held& held = lane->second.items.front();
    if (!suits(held.item)) return out;
    out.emplace(std::move(held.item), Turn{static_cast<std::size_t>(next - classes_.data()), owner},
                held.bytes, served + held.cost);
    next->order.erase(next->order.begin());
    next->now = served;
    now_ = next->served;
    last_ = next;
    lane->second.bytes -= held.bytes;
    lane->second.served = served + held.cost;
    --items_;
    bytes_ -= held.bytes;
    next->served += held.cost;
    lane->second.items.pop_front();
    if (lane->second.items.empty()) {
      next->spare = next->lanes.extract(lane);
    } else {
      enter(*next, lane->second, owner);
    }
    return out;
  }

  // An item that is not finished with is the first of its lane again, as before pop(). What was done for it
  // cost so much: it waits behind whoever was given less. It finds room, also beyond the bounds.
  void give_back(Popped&& popped, std::uint64_t cost) {
    OwnerClass& of = classes_[popped.turn.owner_class];
    const auto found = of.lanes.find(popped.turn.owner);
    const bool waits = found != of.lanes.end();
    Lane& lane = waits ? found->second : new_lane(of, popped.turn.owner);
    if (waits) of.order.erase({lane.served, lane.place, popped.turn.owner});
    lane.served = std::max(waits ? lane.served : 0, popped.served) + cost;
    lane.items.emplace_front(std::move(popped.item), 1, popped.bytes);
    lane.bytes += popped.bytes;
    ++items_;
    bytes_ += popped.bytes;
    of.served += cost;
    enter(of, lane, popped.turn.owner);
  }

  // What an item cost beyond what was said. Nothing is owed by an owner whose lane is empty.
  void charge(Turn turn, std::uint64_t cost) {
    OwnerClass& of = classes_[turn.owner_class];
    of.served += cost;
    const auto lane = of.lanes.find(turn.owner);
    if (lane == of.lanes.end()) return;
    of.order.erase({lane->second.served, lane->second.place, turn.owner});
    lane->second.served += cost;
    enter(of, lane->second, turn.owner);
  }

  std::size_t size() const { return items_; }
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return items_ == 0; }
  std::size_t lanes() const { return classes_[0].lanes.size() + classes_[1].lanes.size(); }

 private:
  struct Held {
    Held(Item&& from, std::uint64_t costs, std::size_t size)
        : item(std::move(from)), cost(costs), bytes(size) {}
    Item item;
    std::uint64_t cost;
    std::size_t bytes;
  };
  struct Lane {
    std::deque<Held> items;
    std::size_t bytes = 0;
    std::uint64_t served = 0;  // where it stands beside the other lanes of its class,
    std::uint64_t place = 0;   // and among those that stand there: who came first is first
  };
  using Lanes = std::unordered_map<std::uint64_t, Lane>;
  struct OwnerClass {
    Lanes lanes;                                             // by owner; none is empty
    typename Lanes::node_type spare;  // the last that was emptied: its memory is used again
    std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>> order;  // served, place, owner
    std::uint64_t now = 0;     // where the lane stood that was served last
    std::uint64_t served = 0;  // where the class stands beside the others
  };

  Lane& new_lane(OwnerClass& of, std::uint64_t owner) {
    if (!of.spare) return of.lanes[owner];
    of.spare.key() = owner;
    return of.lanes.insert(std::move(of.spare)).position->second;
  }
  void enter(OwnerClass& of, Lane& lane, std::uint64_t owner) {
    lane.place = ++last_place_;
    of.order.insert({lane.served, lane.place, owner});
  }
  bool comes_before(const OwnerClass& a, const OwnerClass& b) const {
    return a.served != b.served ? a.served < b.served : &b == last_;
  }

  const std::size_t items_max_;
  const std::size_t bytes_max_;
  std::array<OwnerClass, Turn::classes> classes_;
  std::uint64_t now_ = 0;             // where the class stood that was served last
  const OwnerClass* last_ = nullptr;  // that one
  std::uint64_t last_place_ = 0;
  std::size_t items_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace belfry
