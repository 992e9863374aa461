#include "feed_world.h"

#include <algorithm>

namespace belfry::sim {
namespace {

constexpr std::size_t kTailBytes = 12'000;
const std::vector<RetentionRule> kRules{{"users/#", std::nullopt, 40}, {"t2", std::nullopt, 15}};

}  // namespace

FeedWorld::FeedWorld(std::uint64_t seed, Faults faults) : random_(seed), faults_(faults) {
  for (int i = 0; i < 4; ++i)
    devices_.push_back(std::make_unique<Device>(i, "u" + std::to_string(i / 2),
                                                [this](const std::string& what) { violation(what); }));
  for (const auto& device : devices_) expected_.emplace(device->user, FeedReplica(device->user));
  disk_.planted = faults_.store;
  disk_.index_lags = true;
  start();
}

void FeedWorld::violation(const std::string& what) {
  outcome_.violations.push_back("step " + std::to_string(step_) + ": " + what);
}

void FeedWorld::start() {
  store_ = make_memory_store(disk_);
  LogOptions options;
  options.tail_bytes_max = kTailBytes;
  options.rules = kRules;
  log_ = std::move(Log::open(*store_, options, Epoch{next_epoch_++})).value();
  planner_ = std::make_unique<Planner>(*store_, log_->epochs(), plain_data(), faults_.feed);
  log_->set_planner(*planner_);
  reader_ = std::move(store_->open_reader()).value();
  shard_ = std::make_unique<Shard>(log_->tail(), *this,
                                   ShardOptions{plain_feed_change, {}, nullptr, faults_.hub});
}

void FeedWorld::crash() {
  ++outcome_.crashes;
  outcome_.deliveries += shard_->counts().delivered;
  outcome_.resets += shard_->counts().resets;
  shard_.reset();
  pages_.clear();
  for (auto& device : devices_) device->session.reset();
  log_.reset();
  planner_.reset();
  reader_.reset();
  store_.reset();
  disk_.trouble = MemoryDisk::Trouble::none;
  observe();
  start();
}

bool FeedWorld::ask(PageQuestion question) {
  if (chance(5)) return false;
  pages_.push_back(std::move(question));
  return true;
}

PublishRequest FeedWorld::draw_notification() {
  PublishRequest request;
  request.principal = "p";
  Event& event = request.events.emplace_back();
  event.topic = chance(50) ? user_topic(user()) : topic();
  event.type = chance(50) ? "news" : "sale";
  if (chance(80)) event.notification = "{}";
  if (chance(10)) event.key = "k" + std::to_string(pick(2));
  if (chance(8)) event.expires = clock_.wall() + Duration{static_cast<std::int64_t>(pick(8'000))};
  if (chance(8)) request.deliver_at = {clock_.wall() + Duration{static_cast<std::int64_t>(pick(8'000))}};
  return request;
}

Cursor FeedWorld::draw_id() {
  const Offset head = log_->tail().head();
  const Offset offset = head == 0 ? 1 : head - pick(std::min<Offset>(head, 40));
  return log_->epochs().cursor(offset);
}

PublishRequest FeedWorld::draw_command() {
  PublishRequest request;
  request.principal = "p";
  const auto what = pick(20);
  if (what < 10) {
    MarkCommand mark{user(), static_cast<Mark>(pick(5)), {}, {}};
    if (chance(30)) {
      mark.upto = draw_id();
    } else {
      for (std::size_t n = 1 + pick(3); n > 0; --n) mark.ids.push_back(draw_id());
    }
    request.command = mark;
  } else if (what < 15) {
    request.command = FollowCommand{user(), topic(), chance(60)};
  } else if (what < 17) {
    Mutes mutes;
    if (chance(60)) mutes.types = {chance(50) ? "news" : "sale"};
    request.command = MuteCommand{user(), mutes};
  } else if (what < 19) {
    request.command = RetractCommand{draw_id(), Rights{{}, {"#"}}};
  } else if (chance(10)) {
    request.command = EraseCommand{user()};
  } else {
    request.command = CancelCommand{1 + pick(20), "p"};
  }
  return request;
}

void FeedWorld::publish_group() {
  std::vector<PublishRequest> group(1 + pick(4));
  for (auto& request : group) request = chance(45) ? draw_command() : draw_notification();
  if (chance(2)) disk_.trouble = static_cast<MemoryDisk::Trouble>(1 + pick(3));
  std::vector<std::pair<std::size_t, std::string>> erasures;
  bool crashes = false;
  for (std::size_t i = 0; i < group.size(); ++i) {
    auto* erasure = group[i].command ? std::get_if<EraseCommand>(&*group[i].command) : nullptr;
    if (erasure == nullptr) continue;
    erasures.emplace_back(i, erasure->user);
    crashes |= chance(60) && !erase_some(*erasure);
  }
  std::vector<PublishOutcome> outcomes(group.size(), fail(Code::internal));
  if (!crashes) outcomes = log_->publish(group, clock_.wall());
  if (chance(10)) (void)store_->index_now();
  observe();
  if (crashes || log_->failure()) crash();
  for (const auto& [index, user] : erasures)
    if (!outcomes[index]) erase_again(user);
}

// Who was not answered asks again.
void FeedWorld::erase_again(const std::string& user) {
  std::vector<PublishRequest> requests(1);
  requests[0].command = EraseCommand{user};
  disk_.trouble = MemoryDisk::Trouble::none;
  if (!log_->publish(requests, clock_.wall())[0]) violation("an erasure comes to nothing");
  observe();
}

// False: the process is to end in the middle of the erasure.
bool FeedWorld::erase_some(EraseCommand& erasure) {
  (void)log_->erase_some(erasure);
  observe();
  return !log_->failure() && !chance(30);
}

// What is new on the disk goes into the expected feeds, in the order of the log; the counts that a mark
// tells must be true at its own place.
void FeedWorld::observe() {
  for (auto it = disk_.log.upper_bound(observed_); it != disk_.log.end(); ++it) {
    const Event& event = it->second;
    observed_ = event.offset;
    for (auto& [user, replica] : expected_) {
      replica.take(event, true);
      if (event.type != mark_type || event.topic != user_topic(user)) continue;
      const PlainMark mark = parse_plain_mark(event.data);
      for (const Offset id : mark.ids)
        if (!replica.items().contains(id))
          violation("only_the_feed_is_marked: " + user + " marks " + std::to_string(id));
      // What expired is counted until it is taken out.
      const FeedCounts told = mark.counts;
      const FeedCounts now = replica.counts(Timestamp{});
      if (!(told == now))
        violation("counts_are_true_at_the_mark: " + user + " told " + std::to_string(told.unread) + "," +
                  std::to_string(told.unseen) + " is " + std::to_string(now.unread) + "," +
                  std::to_string(now.unseen));
    }
  }
  for (auto& [user, replica] : expected_) replica.prune([this](Offset offset) { return there(offset); });
}

void FeedWorld::maintain() {
  clock_.advance(Duration{static_cast<std::int64_t>(pick(3'000))});
  (void)log_->maintain(clock_.wall());
  observe();
  shard_->tick(clock_.now(), clock_.wall());
}

// Long enough that topics without events and follows that are over are forgotten.
void FeedWorld::let_months_pass() {
  log_->set_retention(Duration{static_cast<std::int64_t>(pick(20'000))}, kRules);
  for (int i = 0; i < 4; ++i) {
    clock_.advance(limits::remains_kept / 2);
    auto more = log_->maintain(clock_.wall());
    for (int slice = 0; slice < 60 && more && more.value(); ++slice) more = log_->maintain(clock_.wall());
    observe();
    check_feeds();
    if (chance(50)) publish_group();
    if (chance(10)) {
      crash();
      log_->set_retention(Duration{static_cast<std::int64_t>(pick(20'000))}, kRules);
    }
  }
  if (disk_.forgotten > 0) ++outcome_.forgotten;
  log_->set_retention({}, kRules);
}

bool FeedWorld::load(Device& device) {
  FeedAnswer page;
  const auto read = [&](FeedRows& rows) -> Result<void> {
    page = TRY(read_feed(rows, {device.user, FeedStatus::active, {}, 100}, clock_.wall()));
    return {};
  };
  if (!reader_->snapshot(read)) return false;
  device.replica.load(page);
  device.loaded_at = page.head;
  device.lost = false;
  return true;
}

void FeedWorld::connect(Device& device) {
  const bool fresh = device.position == 0 || device.lost || chance(10);
  if (fresh) {
    if (!load(device)) return;
    device.position = device.loaded_at;
  }
  device.room = 1 + pick(chance(30) ? 2 : 40);
  device.blocked = false;
  device.stuttering = chance(50);
  Attach attach;
  attach.position = device.position;
  attach.feed_of = device.user;
  device.session = shard_->attach(device, std::move(attach), clock_.now());
}

void FeedWorld::disturb(Device& device) {
  if (!device.session) return connect(device);
  if (device.blocked && chance(70)) {
    device.blocked = false;
    device.room = 1 + pick(100);
    return shard_->writable(*device.session);
  }
  // The stream goes on after a reset, for those who load the state beside it.
  if (device.lost && chance(50)) return (void)load(device);
  if (!chance(30) && !device.lost) return;
  shard_->detach(*device.session);
  device.session.reset();
}

void FeedWorld::answer_page() {
  if (pages_.empty()) return;
  PageQuestion question = std::move(pages_.front());
  pages_.pop_front();
  question.request.events_max = 1 + pick(20);
  Result<Page> page = chance(5) ? Result<Page>(fail(Code::store_failed)) : reader_->read(question.request);
  const Shard* before = shard_.get();
  if (chance(40)) publish_group();
  if (shard_.get() != before) return;
  shard_->on_page({question.session, question.number, std::move(page)}, clock_.wall());
}

void FeedWorld::compare(const std::string& user, const FeedReplica& expected, const FeedAnswer& page) {
  const FeedCounts counts = expected.counts(clock_.wall());
  if (!(counts == page.counts))
    violation("counts_equal_the_log: " + user + " is " + std::to_string(page.counts.unread) + "," +
              std::to_string(page.counts.unseen) + ", should be " + std::to_string(counts.unread) + "," +
              std::to_string(counts.unseen));
  for (const FeedItem& item : page.items) {
    const auto found = expected.items().find(item.event.offset);
    if (found == expected.items().end())
      violation("only_the_feed: " + user + " shows " + std::to_string(item.event.offset));
    else if (!(found->second.state == item.state))
      violation("state_equals_the_log: " + user + " at " + std::to_string(item.event.offset));
  }
}

// The store's arithmetic against the log.
void FeedWorld::check_feeds() {
  // What expired and is not yet taken out is counted for a moment.
  const auto expired = store_->expired(clock_.wall(), 1);
  if (!expired || !expired.value().empty()) return;
  for (const auto& [user, expected] : expected_) {
    const auto read = [&](FeedRows& rows) -> Result<void> {
      for (const FeedStatus status : {FeedStatus::active, FeedStatus::unread, FeedStatus::archived})
        compare(user, expected, TRY(read_feed(rows, {user, status, {}, 100}, clock_.wall())));
      return {};
    };
    (void)reader_->snapshot(read);
  }
}

// Two devices at the same position hold the same states; each holds those of the log. An item that is no
// longer there may linger on a device that was not told, and what is muted did not reach it.
void FeedWorld::check_devices() {
  for (const auto& device : devices_) {
    if (!device->session || device->lost || device->position != observed_) continue;
    const FeedReplica& expected = expected_.at(device->user);
    for (const auto& [offset, item] : device->replica.items()) {
      if (!there(offset)) continue;
      const auto found = expected.items().find(offset);
      if (found == expected.items().end())
        violation("only_the_feed: a device of " + device->user + " holds " + std::to_string(offset));
      else if (!(found->second.state == item.state))
        violation("equal_position_equal_state: " + device->user + " at " + std::to_string(offset));
    }
    for (const auto& [offset, item] : expected.items())
      if (offset > device->loaded_at && !item.event.expires && !expected.was_muted(offset) &&
          !device->replica.items().contains(offset))
        violation("no_hidden_gap: a device of " + device->user + " lacks " + std::to_string(offset));
  }
}

void FeedWorld::step() {
  const auto what = pick(100);
  if (what < 40) return publish_group();
  if (what < 65) {
    shard_->advance(clock_.wall());
    return check_devices();
  }
  if (what < 75) return answer_page();
  if (what < 90) return disturb(*devices_[pick(devices_.size())]);
  if (what < 95) return maintain();
  if (what < 99) return check_feeds();
  if (chance(20)) return let_months_pass();
  if (chance(20)) return crash();
  // Seconds at most: what expires, or is due, by a clock that is wrong is not told from what should.
  clock_.set_wall(Duration{static_cast<std::int64_t>(pick(20'000)) - 10'000});
}

Outcome FeedWorld::play(int steps) {
  for (step_ = 0; step_ < steps && outcome_.violations.empty(); ++step_) step();
  outcome_.deliveries += shard_->counts().delivered;
  outcome_.resets += shard_->counts().resets;
  outcome_.trace = outcome_.deliveries * 31 + observed_;
  return outcome_;
}

Outcome play_feed(std::uint64_t seed, int steps, Faults faults) {
  return FeedWorld(seed, faults).play(steps);
}

}  // namespace belfry::sim
