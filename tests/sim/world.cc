#include "world.h"

#include <algorithm>

namespace belfry::sim {
namespace {

constexpr int kClients = 6;
constexpr std::size_t kFewWarmRows = 16;
constexpr std::size_t kTailBytes =
    24'000;  // some dozens of events, so that falling out of the tail is common
constexpr int kViolationsMax = 20;

}  // namespace

World::World(std::uint64_t seed, Faults faults)
    : random_(seed), faults_(faults), crowd_([this](int number) { watches_[0].served(number); }) {
  for (int i = 0; i < kClients; ++i)
    clients_.push_back(std::make_unique<Client>(
        i, truth_, clock_, [this](const std::string& what) { violation(what); },
        [this, i](bool events) { events ? watch_of(i).wrote(i) : watch_of(i).served(i); }));
  disk_.planted = faults_.store;
  disk_.index_lags = true;
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
  options.warm_rows = chance(50) ? kFewWarmRows : options.warm_rows;
  options.planted = faults_.log;
  log_ = std::move(Log::open(*store_, options, Epoch{next_epoch_++})).value();
  reader_ = std::move(store_->open_reader()).value();
  ShardOptions shard{wire::feed_change_of, {}, nullptr, faults_.hub};
  shard.turn_work = TurnWatch::turn_work;
  shard.turn_news = TurnWatch::turn_news;
  shard.slice_work = TurnWatch::slice_work;
  for (int i = 0; i < shards_max; ++i)
    shards_.push_back(std::make_unique<Shard>(log_->tail(), *this, shard));
  truth_.observe_time(clock_.wall());
}

// The process is gone: memory, connections and questions with it. The disk stays.
void World::crash(std::string_view why) {
  note("crash: " + std::string(why));
  ++outcome_.crashes;
  truth_.restart(disk_);
  check_acknowledged();
  for (auto& shard : shards_) {
    outcome_.deliveries += shard->counts().delivered;
    outcome_.resets += shard->counts().resets;
  }
  shards_.clear();
  pages_.clear();
  crowd_.forget();
  refused_.clear();
  published_.clear();
  watches_ = {};
  for (auto& client : clients_) client->end_session();
  settled_ = SettledClock();
  stood_ = Stood();
  log_.reset();
  reader_.reset();
  store_.reset();
  disk_.trouble = MemoryDisk::Trouble::none;
  start();
}

bool World::ask(PageQuestion question) {
  Client* client = client_of(question.session, asking_);
  if (client != nullptr) watch_of(client->number()).served(client->number());
  if (client != nullptr) client->fall_behind();
  if (chance(5)) {
    if (client != nullptr) refused_.insert(client->number());
    return false;
  }
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
  if (brief_ || chance(5))
    event.expires = clock_.wall() + (brief_ ? Duration{static_cast<std::int64_t>(pick(1000))} : age());
  return event;
}

World::Lot World::draw_requests(std::size_t count) {
  Lot lot;
  for (std::size_t i = 0; i < count; ++i) {
    PublishRequest& request = lot.requests.emplace_back();
    auto& values = lot.values.emplace_back();
    std::string& key = lot.keys.emplace_back();
    request.principal = "p";
    if (chance(30)) {
      // Half of the keys are used again, with the same events.
      const bool again = next_key_ > 0 && chance(50);
      key = request.idempotency_key = "k" + std::to_string(again ? pick(next_key_) : next_key_++);
    }
    const auto known = keyed_.find(key);
    if (known != keyed_.end()) request.events = known->second;
    for (std::size_t n = 1 + pick(3); n > 0 && known == keyed_.end(); --n)
      request.events.push_back(make_event());
    if (!key.empty()) keyed_.try_emplace(key, request.events);
    for (const Event& event : request.events)
      if (!event.topic.starts_with("eph/")) values.push_back(event.data);
  }
  return lot;
}

void World::publish_group() {
  Lot lot = draw_requests(1 + pick(4));
  if (chance(4)) disk_.trouble = static_cast<MemoryDisk::Trouble>(1 + pick(3));
  truth_.observe_dating(clock_.now(), clock_.wall());
  check_outcomes(lot, 0, log_->publish(lot.requests, clock_.wall()));
  if (chance(10)) (void)store_->index_now();
  if (chance(3)) check_acknowledged();
  if (log_->failure()) crash("the store failed");
}

// More than fits into a group. They go to the log as the log-writer's thread gives them to it.
void World::publish_flood() {
  Lot lot = draw_requests(130 + pick(60));
  note("flood of " + std::to_string(lot.requests.size()));
  for (std::size_t at = 0; at < lot.requests.size();) {
    const std::size_t first = at;
    const Offset before = disk_.head;
    bool room = true;
    truth_.observe_dating(clock_.now(), clock_.wall());
    log_->begin_group(clock_.wall());
    while (at < lot.requests.size() && room && log_->fits(lot.requests[at]))
      room = log_->add(std::move(lot.requests[at++])).room;
    check_outcomes(lot, first, log_->commit_group());
    if (disk_.head - before > limits::commit_rows_max)
      violation("a_group_is_bounded: " + std::to_string(disk_.head - before) + " rows");
    if (chance(2)) return crash("kill -9 in a flood");
    if (chance(10)) turn(static_cast<int>(pick(shards_max)));
  }
}

void World::check_outcomes(const Lot& lot, std::size_t first, const std::vector<PublishOutcome>& outcomes) {
  truth_.observe(disk_);
  for (std::size_t n = 0; n < outcomes.size(); ++n) {
    const std::size_t i = first + n;
    note("publish " + std::to_string(lot.values[i].size()) +
         (outcomes[n] ? " ok" : " " + outcomes[n].error().text()));
    if (!outcomes[n]) continue;
    if (!outcomes[n].value().replayed)
      for (const auto& value : lot.values[i]) acknowledged_.stored(value);
    if (lot.keys[i].empty()) continue;
    const auto wrong = acknowledged_.repeated(lot.keys[i], outcomes[n].value());
    if (!wrong.empty()) violation(wrong);
  }
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
  maintained_at_ = disk_.head;
  truth_.rewind(disk_);
  acknowledged_.rewind(truth_);
  crash("restored from a backup");
}

Client* World::client_of(SessionId id, int shard) const {
  for (const auto& client : clients_)
    if (client->connected() && client->shard == shard && client->session() == id) return client.get();
  return nullptr;
}

TurnWatch& World::watch_of(int client) {
  return watches_[static_cast<std::size_t>(clients_[static_cast<std::size_t>(client)]->shard)];
}

std::set<int> World::live(int shard) const {
  std::set<int> out;
  for (const auto& client : clients_)
    if (client->live() && client->shard == shard) out.insert(client->number());
  return out;
}

// Of those that are behind.
std::map<int, Offset> World::positions(int shard) const {
  std::map<int, Offset> out;
  for (const auto& client : clients_) {
    if (!client->connected() || client->live() || client->shard != shard) continue;
    const auto position = shards_[static_cast<std::size_t>(shard)]->position(client->session());
    if (position) out[client->number()] = *position;
  }
  return out;
}

// Nothing but its turn keeps them from going on.
std::set<int> World::behind(int shard) const {
  std::set<int> out;
  const Shard& at = *shards_[static_cast<std::size_t>(shard)];
  for (const auto& client : clients_) {
    if (!client->connected() || client->shard != shard || client->blocked()) continue;
    const bool asked = std::any_of(pages_.begin(), pages_.end(), [&](const Waiting& waiting) {
      return waiting.shard == shard && waiting.question.session == client->session();
    });
    if (!asked && !refused_.contains(client->number()) && at.position(client->session()) < at.head())
      out.insert(client->number());
  }
  return out;
}

void World::turn(int shard) {
  asking_ = shard;
  Shard& at = *shards_[static_cast<std::size_t>(shard)];
  if (shard == 0) crowd_.read_on(at);
  const std::uint64_t overruns = at.counts().overruns;
  TurnWatch& watch = watches_[static_cast<std::size_t>(shard)];
  watch.begin(live(shard));
  const std::map<int, Offset> stood = positions(shard);
  for (auto& client : clients_) client->begin_turn();
  at.advance(clock_.wall());
  // It may go on without a word, where nothing is for it.
  for (const auto& [client, position] : positions(shard))
    if (stood.contains(client) && stood.at(client) != position) watch.served(client);
  const bool overrun = at.counts().overruns > overruns;
  const std::string wrong = watch.end(behind(shard), overrun);
  if (!wrong.empty()) violation(wrong);
  for (auto& client : clients_)
    if (overrun && client->shard == shard && !client->caught_up_in_turn()) client->fall_behind();
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
  if (page && page.value().events.size() > request.events_max)
    violation("a_page_is_bounded: " + std::to_string(page.value().events.size()) + " events");
  Client* client = client_of(waiting.question.session, waiting.shard);
  if (!page && client != nullptr) refused_.insert(client->number());
  auto& shard = *shards_[static_cast<std::size_t>(waiting.shard)];
  // The page was read; events are committed while it is on its way.
  if (chance(30)) publish_group();
  if (shards_.empty() || &shard != shards_[static_cast<std::size_t>(waiting.shard)].get()) return;
  shard.on_page({waiting.question.session, waiting.question.number, std::move(page)}, clock_.wall());
}

void World::pass_time() {
  clock_.advance(Duration{static_cast<std::int64_t>(pick(6'000))});
  truth_.observe_time(clock_.wall());
  refused_.clear();
  for (int i = 0; i < shards_max; ++i) {
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
  client.shard = static_cast<int>(pick(shards_max));
  client.room = 1 + pick(60);
  client.temper = static_cast<Client::Temper>(chance(40) ? 0 : pick(5));
  if (client.temper == Client::Temper::slow) client.room = 1 + pick(2);
  client.user = pick(TurnWatch::users);
  client.issued = clock_.wall() + -Duration{static_cast<std::int64_t>(pick(20'000))};
  attach.credential = credential(client);
  watch_of(client.number()).join(client.number(), client.user);
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
    client.want(selector, from);
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
  using Temper = Client::Temper;
  if (what < 5 && (client.temper != Temper::restless || !client.blocked())) {
    if (!client.blocked() || (client.temper == Temper::hanging && !chance(3))) return;
    const bool little = client.temper == Temper::slow || chance(30);
    client.unblock(little ? 1 + pick(3) : 10 + pick(300));
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
  if (what < 60) return turn(static_cast<int>(pick(shards_max)));
  if (what < 72) return answer_page();
  if (what < 92) return disturb(*clients_[pick(clients_.size())]);
  if (what < 96) return pass_time();
  if (what == 96) return chance(25) ? let_months_pass() : retain();
  if (what == 97) return chance(40) ? crash("kill -9") : jump();
  if (what == 98) return chance(40) ? take_backup() : revoke();
  if (chance(20)) return restore_backup();
  if (chance(30)) return crowd();
  if (chance(20)) return publish_flood();
  if (chance(15)) return leave_nothing_new();
  return renew(*clients_[pick(clients_.size())]);
}

// Nothing disturbs any more: everyone must get to the head.
void World::finish() {
  check_acknowledged();
  crowd_.scatter(*shards_[0]);
  for (auto& client : clients_)
    if (!client->connected()) connect(*client);
  for (int round = 0; round < 400; ++round) {
    clock_.advance(limits::tick_interval);
    truth_.observe_time(clock_.wall());
    refused_.clear();
    for (int i = 0; i < shards_max; ++i) {
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
  grow_old();
}

Outcome World::play(int steps) {
  for (step_ = 0; step_ < steps && outcome_.violations.empty(); ++step_) {
    step();
    if (log_->failure()) crash("the store failed");  // a flood does not look
  }
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
