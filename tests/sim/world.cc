#include "world.h"

#include <algorithm>

namespace belfry::sim {
namespace {

constexpr int kClients = 6;
constexpr int kShards = 2;
constexpr std::size_t kTailBytes =
    24'000;  // some dozens of events, so that falling out of the tail is common
constexpr int kViolationsMax = 20;

}  // namespace

World::World(std::uint64_t seed, Faults faults) : random_(seed), faults_(faults) {
  for (int i = 0; i < kClients; ++i)
    clients_.push_back(
        std::make_unique<Client>(i, truth_, clock_, [this](const std::string& what) { violation(what); }));
  disk_.planted = faults_.store;
  start();
}

World::~World() { shards_.clear(); }

void World::note(const std::string& what) {
  for (const char c : what)
    outcome_.trace = (outcome_.trace ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  if (tell_story) story.push_back(std::to_string(step_) + " " + what);
}

void World::violation(const std::string& what) {
  note("VIOLATION " + what);
  if (outcome_.violations.size() < kViolationsMax)
    outcome_.violations.push_back("step " + std::to_string(step_) + ": " + what);
}

void World::start() {
  store_ = make_memory_store(disk_);
  LogOptions options;
  options.tail_bytes_max = kTailBytes;
  options.ephemeral = {"eph/#"};
  options.planted = faults_.log;
  log_ = std::move(Log::open(*store_, options, Epoch{next_epoch_++})).value();
  reader_ = std::move(store_->open_reader()).value();
  for (int i = 0; i < kShards; ++i)
    shards_.push_back(std::make_unique<Shard>(
        log_->tail(), *this, ShardOptions{wire::feed_change_of, {}, nullptr, faults_.hub}));
}

// The process is gone: memory, connections and questions with it. The disk stays.
void World::crash(std::string_view why) {
  note("crash: " + std::string(why));
  ++outcome_.crashes;
  truth_.observe(disk_);
  check_acknowledged();
  for (auto& shard : shards_) {
    outcome_.deliveries += shard->counts().delivered;
    outcome_.resets += shard->counts().resets;
  }
  shards_.clear();
  pages_.clear();
  for (auto& client : clients_) client->end_session();
  log_.reset();
  reader_.reset();
  store_.reset();
  disk_.trouble = MemoryDisk::Trouble::none;
  start();
}

bool World::ask(PageQuestion question) {
  if (chance(5)) return false;
  pages_.push_back({asking_, std::move(question)});
  return true;
}

std::string World::topic() {
  static const char* names[] = {"a", "a/1", "a/2", "b/1", "b/2", "c"};
  if (chance(5)) return "eph/1";
  // The last one is rare: a session on it stays behind without getting anything.
  return names[pick(chance(20) ? 6 : 5)];
}

Event World::make_event() {
  Event event;
  event.topic = topic();
  event.data = "\"v" + std::to_string(next_value_++) + "\"";
  const auto kind = pick(10);
  if (kind < 2) {
    event.type = "refresh";
    event.keys = chance(50) ? "[[\"x\"]]" : "[[\"y\"]]";
  } else {
    event.type = kind < 6 ? "t.one" : "t.two";
  }
  if (chance(5)) event.expires = clock_.wall() + Duration{static_cast<std::int64_t>(pick(30'000))};
  return event;
}

void World::publish_group() {
  std::vector<PublishRequest> group(1 + pick(4));
  std::vector<std::vector<std::string>> values(group.size());
  std::vector<std::string> keys(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    group[i].principal = "p";
    if (chance(30)) {
      // Half of the keys are used again, with the same events.
      const bool again = next_key_ > 0 && chance(50);
      const std::uint64_t key = again ? pick(next_key_) : next_key_++;
      keys[i] = group[i].idempotency_key = "k" + std::to_string(key);
    }
    const auto known = keyed_.find(keys[i]);
    if (known != keyed_.end()) group[i].events = known->second;
    for (std::size_t n = 1 + pick(3); n > 0 && known == keyed_.end(); --n)
      group[i].events.push_back(make_event());
    if (!keys[i].empty()) keyed_.try_emplace(keys[i], group[i].events);
    for (const Event& event : group[i].events)
      if (!event.topic.starts_with("eph/")) values[i].push_back(event.data);
  }
  if (chance(4)) disk_.trouble = static_cast<MemoryDisk::Trouble>(1 + pick(3));
  const auto outcomes = log_->publish(group, clock_.wall());
  truth_.observe(disk_);
  for (std::size_t i = 0; i < group.size(); ++i) {
    note("publish " + std::to_string(values[i].size()) +
         (outcomes[i] ? " ok" : " " + outcomes[i].error().text()));
    if (!outcomes[i]) continue;
    if (!outcomes[i].value().replayed)
      for (const auto& value : values[i]) acknowledged_.stored(value);
    if (keys[i].empty()) continue;
    const auto wrong = acknowledged_.repeated(keys[i], outcomes[i].value());
    if (!wrong.empty()) violation(wrong);
  }
  if (chance(3)) check_acknowledged();
  if (log_->failure()) crash("the store failed");
}

void World::check_acknowledged() {
  const auto missing = acknowledged_.missing(truth_);
  if (!missing.empty()) violation(missing);
}

void World::take_backup() {
  note("backup at " + std::to_string(disk_.head));
  backup_ = disk_;
}

void World::restore_backup() {
  if (!backup_ || log_->failure()) return;
  note("restore at " + std::to_string(backup_->head));
  truth_.observe(disk_);
  disk_ = *backup_;
  truth_.rewind(disk_);
  acknowledged_.rewind(truth_);
  crash("restored from a backup");
}

// By the age of the log, by rules, or both; each time by others.
void World::retain() {
  static const char* patterns[] = {"a/#", "b/+", "#", "c"};
  std::optional<Duration> longest;
  std::vector<RetentionRule> rules;
  if (chance(40)) longest = Duration{static_cast<std::int64_t>(pick(60'000))};
  for (std::size_t n = pick(3); n > 0; --n) {
    RetentionRule rule{patterns[pick(4)]};
    if (chance(70)) rule.events = 1 + pick(40);
    if (chance(40)) rule.age = Duration{static_cast<std::int64_t>(pick(60'000))};
    rules.push_back(std::move(rule));
  }
  log_->set_retention(longest, std::move(rules));
  // Some slices, each of another kind; what is left over is taken up some other time.
  auto more = log_->maintain(clock_.wall());
  for (std::size_t n = pick(6); n > 0 && more && more.value(); --n) more = log_->maintain(clock_.wall());
  truth_.observe_gone(disk_);
  note("retain " + std::string(!more ? more.error().text() : more.value() ? "and more" : "whole"));
}

// Long enough that topics without events are forgotten.
void World::let_months_pass() {
  const Offset before = disk_.forgotten;
  log_->set_retention(Duration{static_cast<std::int64_t>(pick(60'000))}, {});
  for (int i = 0; i < 4; ++i) {
    clock_.advance(limits::remains_kept / 2);
    acknowledged_.let_keys_end();
    auto more = log_->maintain(clock_.wall());
    for (int slice = 0; slice < 40 && more && more.value(); ++slice) more = log_->maintain(clock_.wall());
    truth_.observe_gone(disk_);
    // Somebody publishes now and then, so that not all of it goes.
    if (chance(50)) publish_group();
    if (chance(30)) turn(static_cast<int>(pick(kShards)));
  }
  if (disk_.forgotten > before) ++outcome_.forgotten;
  note("months pass, forgotten up to " + std::to_string(disk_.forgotten));
}

void World::turn(int shard) {
  asking_ = shard;
  shards_[static_cast<std::size_t>(shard)]->advance(clock_.wall());
}

void World::answer_page() {
  if (pages_.empty()) return;
  const std::size_t which = pick(pages_.size());
  const Waiting waiting = pages_[which];
  pages_.erase(pages_.begin() + static_cast<std::ptrdiff_t>(which));
  asking_ = waiting.shard;
  PageRequest request = waiting.question.request;
  request.events_max = 1 + pick(20);
  note("page after " + std::to_string(request.after));
  Result<Page> page = chance(5) ? Result<Page>(fail(Code::store_failed)) : reader_->read(request);
  auto& shard = *shards_[static_cast<std::size_t>(waiting.shard)];
  // The page was read; events are committed while it is on its way.
  if (chance(30)) publish_group();
  if (shards_.empty() || &shard != shards_[static_cast<std::size_t>(waiting.shard)].get()) return;
  shard.on_page({waiting.question.session, waiting.question.number, std::move(page)}, clock_.wall());
}

void World::pass_time() {
  clock_.advance(Duration{static_cast<std::int64_t>(pick(6'000))});
  for (int i = 0; i < kShards; ++i) {
    asking_ = i;
    shards_[static_cast<std::size_t>(i)]->tick(clock_.now(), clock_.wall());
  }
  for (auto& client : clients_)
    if (client->expired()) violation("ends_by_expiry: a session outlives its token");
}

std::vector<Selector> World::draw_selectors() {
  static const std::vector<Selector> all{
      {"a", {}},          {"a/+", {}}, {"a/#", {}}, {"#", {}},
      {"b/1", {"t.one"}}, {"c", {}},   {"b/+", {}}, {"a/1", {"refresh", "t.#"}},
      {"eph/+", {}}};
  std::vector<Selector> out;
  for (std::size_t n = 1 + pick(3); n > 0; --n) out.push_back(all[pick(all.size())]);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void World::connect(Client& client) {
  Attach attach;
  attach.selectors = draw_selectors();
  const bool fresh = client.cursor.empty() || chance(5);
  if (fresh && chance(50)) {
    attach.from_earliest = true;
    client.position = 0;
    client.serial = 0;
  } else if (fresh) {
    attach.position = log_->tail().head();
    client.position = attach.position;
    client.serial = truth_.serial_at(attach.position);
  } else {
    const auto place = log_->epochs().place(parse_cursor(client.cursor).value(), log_->tail().head());
    attach.position = place.position;
    attach.reset = place.reset;
  }
  // The stream's first words are its cursor.
  if (fresh) client.cursor = log_->epochs().text(client.position);
  if (chance(20)) attach.expires = clock_.wall() + Duration{static_cast<std::int64_t>(1 + pick(40'000))};
  client.shard = static_cast<int>(pick(kShards));
  client.room = 1 + pick(60);
  client.temper = chance(50) ? 0 : 2 + pick(4);
  std::vector<Client::Wanted> wanted;
  for (const auto& selector : attach.selectors) wanted.push_back({selector, client.position});
  note("connect at " + std::to_string(client.position) + (attach.reset ? " with reset" : ""));
  auto& shard = *shards_[static_cast<std::size_t>(client.shard)];
  const bool earliest = attach.from_earliest;
  const Timestamp expires = attach.expires;
  const SessionId id = shard.attach(client, std::move(attach), clock_.now());
  client.begin(id, &log_->epochs(), std::move(wanted), earliest, expires);
}

void World::change_subscription(Client& client) {
  auto& shard = *shards_[static_cast<std::size_t>(client.shard)];
  if (client.place_is_void()) return;  // waits for its reset
  if (chance(60)) {
    const Selector selector = draw_selectors()[0];
    const bool known = std::any_of(client.wanted.begin(), client.wanted.end(),
                                   [&](const Client::Wanted& wish) { return wish.selector == selector; });
    if (known) return;
    const Offset from = *shard.position(client.session());
    note("subscribe " + selector.topic + " from " + std::to_string(from));
    shard.subscribe(client.session(), {selector});
    client.wanted.push_back({selector, from});
  } else if (client.wanted.size() > 1) {
    note("unsubscribe " + client.wanted.back().selector.topic);
    shard.unsubscribe(client.session(), {client.wanted.back().selector});
    client.left.push_back({client.wanted.back().selector, *shard.position(client.session())});
    client.wanted.pop_back();
  }
}

void World::disturb(Client& client) {
  if (!client.connected()) return connect(client);
  auto& shard = *shards_[static_cast<std::size_t>(client.shard)];
  const auto what = pick(10);
  if (what < 5) {
    if (!client.blocked()) return;
    client.unblock(chance(30) ? 1 + pick(3) : 10 + pick(300));
    note("writable");
    shard.writable(client.session());
  } else if (what < 8) {
    change_subscription(client);
  } else {
    note("vanish");
    shard.detach(client.session());
    client.end_session();
  }
}

void World::step() {
  const auto what = pick(100);
  if (what < 30) return publish_group();
  if (what < 60) return turn(static_cast<int>(pick(kShards)));
  if (what < 72) return answer_page();
  if (what < 92) return disturb(*clients_[pick(clients_.size())]);
  if (what < 96) return pass_time();
  if (what == 96) return chance(25) ? let_months_pass() : retain();
  if (what == 97 && chance(40)) return crash("kill -9");
  if (what == 98 && chance(40)) return take_backup();
  if (what == 99 && chance(20)) return restore_backup();
}

// Nothing disturbs any more: everyone must get to the head.
void World::finish() {
  check_acknowledged();
  for (auto& client : clients_)
    if (!client->connected()) connect(*client);
  for (int round = 0; round < 400; ++round) {
    clock_.advance(limits::tick_interval);
    for (int i = 0; i < kShards; ++i) {
      asking_ = i;
      shards_[static_cast<std::size_t>(i)]->tick(clock_.now(), clock_.wall());
      turn(i);
    }
    while (!pages_.empty()) {
      const Waiting waiting = pages_.front();
      pages_.pop_front();
      asking_ = waiting.shard;
      shards_[static_cast<std::size_t>(waiting.shard)]->on_page(
          {waiting.question.session, waiting.question.number, reader_->read(waiting.question.request)},
          clock_.wall());
    }
    for (auto& client : clients_) {
      if (!client->connected() || !client->blocked()) continue;
      client->unblock(1000);
      shards_[static_cast<std::size_t>(client->shard)]->writable(client->session());
    }
  }
  for (auto& client : clients_) {
    if (!client->connected()) continue;  // its token ran out
    const auto position = shards_[static_cast<std::size_t>(client->shard)]->position(client->session());
    if (position != truth_.head())
      violation("everyone_catches_up: a client stays at " + std::to_string(*position));
    client->caught_up(truth_.head());
  }
}

Outcome World::play(int steps) {
  for (step_ = 0; step_ < steps && outcome_.violations.empty(); ++step_) step();
  if (outcome_.violations.empty()) finish();
  for (auto& shard : shards_) {
    outcome_.deliveries += shard->counts().delivered;
    outcome_.resets += shard->counts().resets;
    outcome_.trace ^= shard->counts().delivered * 31 + shard->counts().writes;
  }
  return outcome_;
}

Outcome play(std::uint64_t seed, int steps, Faults faults) { return World(seed, faults).play(steps); }

}  // namespace belfry::sim
