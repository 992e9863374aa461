// What time does to the world: retention, months, a clock that jumps; and who is put out meanwhile.

#include <algorithm>
#include <numeric>

#include "world.h"

namespace belfry::sim {
namespace {

using std::chrono::hours;

constexpr std::size_t kCrowd = 48;     // of one user
constexpr std::size_t kCrowdUsers = 8;  // with one session each
constexpr Duration kKeysFar = hours(10);  // as far as the clock may go with the keys that are known

std::string user_name(std::uint64_t user) { return "u" + std::to_string(user); }

}  // namespace

// Mostly less than a wrong clock makes of it, sometimes more.
Duration World::age() {
  return Duration{static_cast<std::int64_t>(pick(chance(80) ? 60'000 : Duration(hours(6)).count()))};
}

// By the age of the log, by rules, or both; each time by others.
void World::retain() {
  static const char* patterns[] = {"a/#", "b/+", "#", "c"};
  retention_.reset();
  rules_.clear();
  if (chance(40)) retention_ = age();
  for (std::size_t n = pick(3); n > 0; --n) {
    RetentionRule rule{patterns[pick(4)]};
    if (chance(70)) rule.events = 1 + pick(40);
    if (chance(40)) rule.age = age();
    rules_.push_back(std::move(rule));
  }
  log_->set_retention(retention_, rules_);
  // Some slices, each of another kind; what is left over is taken up some other time.
  bool more = maintain();
  for (std::size_t n = pick(6); n > 0 && more; --n) more = maintain();
  note(more ? "retain and more" : "retain whole");
  if (chance(5)) crash("kill -9 amid housekeeping");
}

// Long enough that topics without events are forgotten.
void World::let_months_pass() {
  const Offset before = disk_.forgotten;
  retention_ = age();
  rules_.clear();
  for (int i = 0; i < 4; ++i) {
    log_->set_retention(retention_, {});
    clock_.advance(limits::remains_kept / 2);
    truth_.observe_time(clock_.wall());
    acknowledged_.let_keys_end();
    bool more = maintain();
    for (int slice = 0; slice < 40 && more; ++slice) more = maintain();
    // Somebody publishes now and then, so that not all of it goes.
    if (chance(50)) publish_group();
    if (chance(30)) turn(static_cast<int>(pick(shards_.size())));
    if (chance(10)) crash("kill -9 amid the months");
  }
  if (disk_.forgotten > before) ++outcome_.forgotten;
  note("months pass, forgotten up to " + std::to_string(disk_.forgotten));
}

// The slice may be as large as what came since the last one of its kind: within the newest eight at least.
bool World::maintain() {
  truth_.observe(disk_);
  published_.push_back(disk_.head - maintained_at_);
  maintained_at_ = disk_.head;
  if (published_.size() > 8) published_.pop_front();
  const std::size_t came = std::accumulate(published_.begin(), published_.end(), std::size_t{0});
  const std::size_t held = disk_.log.size();
  goes_by_ = stood_.at(clock_.now(), clock_.wall());
  const auto more = log_->maintain({clock_.wall(), settled_.of(clock_.now(), clock_.wall())});
  const std::size_t gone = held - disk_.log.size();
  if (gone > std::max(limits::housekeeping_rows_min, came + came / 4))
    violation("a_slice_is_bounded: " + std::to_string(gone) + " rows went, " + std::to_string(came) +
              " had come");
  check_gone();
  return more && more.value();
}

// Nothing goes that retention does not let go.
void World::check_gone() {
  for (Offset offset = 1; offset <= truth_.head(); ++offset) {
    const Fact& fact = *truth_.at(offset);
    if (fact.gone == 0 && !disk_.log.contains(offset) && !may_be_gone(fact))
      violation("nothing_goes_before_its_time: " + std::to_string(offset));
  }
  truth_.observe_gone(disk_);
}

bool World::may_be_gone(const Fact& fact) const {
  if (fact.event.expired(goes_by_.latest)) return true;
  const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const RetentionRule& one) {
    return matches(one.pattern, fact.event.topic);
  });
  if (rule != rules_.end() && rule->events && truth_.newer(fact.event) >= *rule->events) return true;
  const Duration never = Duration::max();
  const Duration age = std::min(retention_.value_or(never),
                                rule == rules_.end() ? never : rule->age.value_or(never));
  // That much time went by, whatever a clock says.
  if (clock_.now() - fact.published > age) return true;
  // Old by both, the clock and the one that goes on from before a jump. By a clock that is behind the log,
  // what follows may be dated rightly, and says how old this one is.
  const auto old = [&](Timestamp now) {
    const bool behind = now < truth_.newest();
    return now - (behind ? truth_.earliest_since(fact.event.offset) : fact.not_before) > age;
  };
  const Timestamp last_behind = truth_.newest() + -Duration{1};
  const bool was_behind = goes_by_.earliest <= last_behind && last_behind < goes_by_.latest;
  return old(clock_.wall()) && (old(goes_by_.latest) || (was_behind && old(last_behind)));
}

// The newest offsets have no rows any more; then a start, by a clock that may be wrong.
void World::leave_nothing_new() {
  note("brief times");
  brief_ = true;
  publish_flood();
  brief_ = false;
  clock_.advance(std::chrono::seconds(1));
  truth_.observe_time(clock_.wall());
  bool more = maintain();
  for (int slice = 0; slice < 10 && more; ++slice) more = maintain();
  (void)store_->index_now();
  crash("kill -9 in brief times");
  jump();
  if (chance(50)) return;
  publish_flood();
  set_clock(-off_);
  retain();
}

// However wrong the clock was: once it is right, and all the times that it had have come, nothing is kept
// for longer than retention wants.
void World::grow_old() {
  disk_.trouble = MemoryDisk::Trouble::none;
  set_clock(-off_);
  retention_ = Duration{60'000};
  rules_.clear();
  log_->set_retention(retention_, rules_);
  maintain();  // sees where the clock stands
  clock_.advance(std::max(Duration{0}, truth_.latest() - clock_.wall()) + *retention_ +
                 Duration(limits::clock_settles));
  truth_.observe_time(clock_.wall());
  bool more = maintain();
  for (int slice = 0; slice < 400 && more; ++slice) more = maintain();
  if (!disk_.log.empty())
    violation("retention_ends: " + std::to_string(disk_.log.size()) + " events are kept for ever");
}

// Mostly a little, sometimes very much; mostly back; and mostly it is put right again.
void World::jump() {
  if (off_ != Duration{0} && chance(60)) return set_clock(-off_);
  const auto kind = pick(10);
  const std::int64_t most = kind < 5 ? 20'000 : kind < 9 ? 7'200'000 : Duration(hours(24 * 40)).count();
  const Duration by{1 + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(most)))};
  set_clock(chance(70) ? -by : by);
}

void World::set_clock(Duration by) {
  ++outcome_.jumps;
  note("the clock jumps by " + std::to_string(by.count()));
  clock_.set_wall(by);
  off_ += by;
  off_of_keys_ += by;
  if (std::chrono::abs(off_of_keys_) > kKeysFar) {
    acknowledged_.let_keys_end();
    off_of_keys_ = Duration{0};
  }
  truth_.observe_time(clock_.wall());
}

Credential World::credential(const Client& client) {
  Credential out;
  out.user = keyed_hash(user_name(client.user));
  out.issued = client.issued;
  return out;
}

// Of a user, up to now or up to some earlier time.
void World::revoke() {
  const Client& one = *clients_[pick(clients_.size())];
  const Timestamp upto = one.issued + Duration{static_cast<std::int64_t>(pick(10'000))};
  const Timestamp now = clock_.wall();
  note("revoke " + user_name(one.user));
  for (auto& client : clients_)
    client->must_end = client->connected() && client->user == one.user &&
                       (client->issued <= upto || client->issued > now + limits::token_skew);
  for (auto& shard : shards_)
    shard->revoke({user_name(one.user), {}, upto, Timestamp{Duration::max()}}, now);
  for (auto& client : clients_) {
    if (client->must_end && client->connected()) violation("ends_by_revocation: a session outlives it");
    outcome_.revoked += client->must_end;
    client->must_end = false;
  }
}

void World::renew(Client& client) {
  if (!client.connected()) return;
  note("renew");
  const Timestamp expires = clock_.wall() + Duration{static_cast<std::int64_t>(1 + pick(40'000))};
  client.renew(expires, clock_.wall());
  shards_[static_cast<std::size_t>(client.shard)]->renew(client.session(), expires, credential(client));
}

void World::crowd() {
  if (!crowd_.empty()) {
    watches_[0].gather(0);
    return crowd_.scatter(*shards_[0]);
  }
  note("a crowd gathers");
  ++outcome_.crowds;
  const bool of_one = chance(50);
  const std::size_t users = of_one ? 1 : kCrowdUsers;
  watches_[0].gather(users);
  crowd_.gather(*shards_[0], of_one ? kCrowd : kCrowdUsers, users, clock_.now());
  if (!of_one) besiege();
}

// For as long as it takes to see that somebody is held up: all want all there is, as fast as they get it.
void World::besiege() {
  for (int round = 0; round < 2 * watches_[0].wait_max() && !crowd_.empty(); ++round) {
    publish_group();
    for (std::size_t n = pages_.size(); n > 0 && !crowd_.empty(); --n) answer_page();
    for (auto& client : clients_) {
      if (!client->connected() || client->shard != 0 || !client->blocked()) continue;
      client->unblock(1 + pick(3));
      shards_[0]->writable(client->session());
    }
    turn(0);
  }
}

}  // namespace belfry::sim
