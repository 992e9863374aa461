#pragma once
// A queue in which nobody waits behind all that one other has put in. Each owner has a lane, lanes take
// turns by what their items cost, and classes of owners take turns in the same way: whoever was given least
// is next. (Start-time fair queueing: Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996.)
//
// Owner: whoever has it. Thread: the owner's; FairMailbox (fair_mailbox.h) is the one between threads.
// Bound: items and bytes given at construction, of all lanes together. A lane may hold at most as much as is
// still free, so one owner alone fills half, and there is always room for a newcomer. (Choudhury, Hahne,
// "Dynamic Queue Length Thresholds", IEEE/ACM ToN 1998, alpha = 1.) At most `debtors_max` empty lanes of a
// class are remembered, some hundred bytes each.
// Always: items of one lane come out in the order they went in. As long as anybody waits, an owner pays for
// what it was given although its lane is empty now, and so does a class. Who comes anew, or has paid, stands
// behind whoever waits already and was given least.

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
  // More of them, and who comes next stands where the first of them stood: then it needs no remembering.
  static constexpr std::size_t debtors_max = 1024;

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
    // Where nobody waits there is nothing to share.
    if (items_ == 0)
      for (const OwnerClass& each : classes_) now_ = std::max(now_, each.served);
    if (of.order.empty()) of.served = std::max(of.served, now_);
    Lane& lane = lane_of(of, turn.owner);
    const bool comes = lane.items.empty();
    if (comes) leave(of, lane, turn.owner);
    lane.items.emplace_back(std::move(item), std::max<std::uint64_t>(cost, 1), bytes);
    lane.bytes += bytes;
    ++items_;
    bytes_ += bytes;
    if (!comes) return true;
    if (!of.order.empty()) of.now = std::max(of.now, std::get<0>(*of.order.begin()));
    enter(of, lane, turn.owner, std::max(of.now, lane.served));
    forgive(of);
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
    const std::uint64_t cost = held.cost;
    out.emplace(std::move(held.item), Turn{static_cast<std::size_t>(next - classes_.data()), owner},
                held.bytes, served + cost);
    next->now = std::max(next->now, served);
    now_ = next->served;
    last_ = next;
    lane->second.bytes -= held.bytes;
    --items_;
    bytes_ -= held.bytes;
    next->served += cost;
    leave(*next, lane->second, owner);
    lane->second.items.pop_front();
    enter(*next, lane->second, owner, served + cost);
    for (OwnerClass& each : classes_) forgive(each);
    return out;
  }

  // An item that is not finished with is the first of its lane again, as before pop(). What was done for it
  // cost so much: it waits behind whoever was given less. It finds room, also beyond the bounds.
  void give_back(Popped&& popped, std::uint64_t cost) {
    OwnerClass& of = classes_[popped.turn.owner_class];
    Lane& lane = lane_of(of, popped.turn.owner);
    leave(of, lane, popped.turn.owner);
    lane.items.emplace_front(std::move(popped.item), 1, popped.bytes);
    lane.bytes += popped.bytes;
    ++items_;
    bytes_ += popped.bytes;
    of.served += cost;
    enter(of, lane, popped.turn.owner, std::max(lane.served, popped.served) + cost);
  }

  // What an item cost beyond what was said. Nobody pays for others that were served meanwhile.
  void charge(const Popped& popped, std::uint64_t cost) {
    OwnerClass& of = classes_[popped.turn.owner_class];
    of.served += cost;
    Lane& lane = lane_of(of, popped.turn.owner);
    leave(of, lane, popped.turn.owner);
    enter(of, lane, popped.turn.owner, std::max(lane.served, popped.served) + cost);
    forgive(of);
  }

  std::size_t size() const { return items_; }
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return items_ == 0; }
  // Those of owners that owe nothing and have nothing there are not among them.
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
    std::uint64_t place = 0;   // and among those that stand there: who came first is first; 0: nowhere yet
  };
  using Lanes = std::unordered_map<std::uint64_t, Lane>;
  using Order = std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>>;  // served, place, owner
  struct OwnerClass {
    Lanes lanes;                        // by owner; each stands in one of the two orders
    Order order;                        // those with items
    Order debtors;                      // those without, which were given more than who comes anew
    typename Lanes::node_type spare;    // the last that was taken out: its memory is used again
    typename Order::node_type standing; // the place of the last that left: so is this
    std::uint64_t now = 0;              // where who comes anew stands
    std::uint64_t served = 0;           // where the class stands beside the others
  };

  Lane& lane_of(OwnerClass& of, std::uint64_t owner) {
    const auto found = of.lanes.find(owner);
    if (found != of.lanes.end()) return found->second;
    if (!of.spare) return of.lanes[owner];
    of.spare.key() = owner;
    Lane& lane = of.lanes.insert(std::move(of.spare)).position->second;
    lane.served = lane.place = 0;
    return lane;
  }
  void leave(OwnerClass& of, const Lane& lane, std::uint64_t owner) {
    if (lane.place == 0) return;
    of.standing = (lane.items.empty() ? of.debtors : of.order).extract({lane.served, lane.place, owner});
  }
  void enter(OwnerClass& of, Lane& lane, std::uint64_t owner, std::uint64_t stands) {
    lane.served = stands;
    lane.place = ++last_place_;
    Order& order = lane.items.empty() ? of.debtors : of.order;
    if (!of.standing) {
      order.insert({stands, lane.place, owner});
      return;
    }
    of.standing.value() = {stands, lane.place, owner};
    order.insert(std::move(of.standing));
  }
  // Those whose turn it would be now have paid; all have where nobody waits.
  void forgive(OwnerClass& of) {
    while (!of.debtors.empty()) {
      const auto [stands, place, owner] = *of.debtors.begin();
      if (stands > of.now && items_ != 0 && of.debtors.size() <= debtors_max) return;
      of.now = std::max(of.now, stands);
      of.standing = of.debtors.extract(of.debtors.begin());
      of.spare = of.lanes.extract(owner);
    }
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
