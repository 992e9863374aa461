// Feeds: what a page and a count cost whatever the history, marks a second, and one broadcast to a million
// followers of whom some are attached.

#include <cstdio>

#include "api/token.h"
#include "compare.h"
#include "feed/feed.h"
#include "store/sqlite/sqlite_store.h"
#include "wire/wire.h"
#include "workloads.h"

namespace belfry::bench {
namespace {

constexpr std::size_t kTopics = 20;  // that the user follows

struct FeedStore {
  testing::TemporaryFolder folder;
  SystemClock clock;
  std::unique_ptr<Store> store;
  std::unique_ptr<Log> log;
  std::unique_ptr<Planner> planner;
  std::uint64_t stored = 0;

  explicit FeedStore(LogOptions log_options = {}) {
    SqliteOptions options;
    options.path = folder.path("belfry.db");
    store = std::move(open_sqlite_store(options)).value();
    log = std::move(Log::open(*store, std::move(log_options), Epoch{1})).value();
    planner =
        std::make_unique<Planner>(*store, log->epochs(),
                                  OwnEventData{wire::mark_data, wire::topic_data, wire::mutes_data,
                                               wire::id_data, wire::revocation_data, wire::user_data});
    log->set_planner(*planner);
    for (std::size_t i = 0; i < kTopics; ++i) command(FollowCommand{"ana", topic(i), true});
  }
  static std::string topic(std::size_t i) { return "team/" + std::to_string(i); }
  void command(Command wish) {
    PublishRequest request;
    request.command = std::move(wish);
    std::vector<PublishRequest> group;
    group.push_back(std::move(request));
    CHECK(log->publish(group, clock.wall())[0]);
  }
  void fill(std::uint64_t upto) {
    while (stored < upto) {
      PublishRequest request;
      for (int i = 0; i < 500; ++i, ++stored) {
        Event& event = request.events.emplace_back();
        event.topic = topic(stored * 7919 % kTopics);
        event.notification = R"({"title":"A notification of the usual length, more or less"})";
      }
      std::vector<PublishRequest> group;
      group.push_back(std::move(request));
      CHECK(log->publish(group, clock.wall())[0]);
    }
  }
};

struct Cost {
  double steps, microseconds;
};

Cost cost_of(FeedStore& feeds, std::size_t limit) {
  auto reader = std::move(feeds.store->open_reader()).value();
  Cost cost{};
  std::vector<double> times;
  const auto ask = [&](FeedRows& rows) -> Result<void> {
    const std::uint64_t before = rows.work();
    const double began = seconds();
    const FeedAnswer answer =
        TRY(read_feed(rows, {"ana", FeedStatus::active, {}, limit}, feeds.clock.wall()));
    times.push_back((seconds() - began) * 1e6);
    CHECK(answer.counts.unread == feeds.stored);
    cost.steps = static_cast<double>(rows.work() - before);
    return {};
  };
  for (int i = 0; i < 21; ++i) CHECK(reader->snapshot(ask));
  cost.microseconds = median(times);
  return cost;
}

void print_costs(FeedStore& feeds, const Options& options) {
  std::printf(
      "One user who follows %zu topics and has read nothing. Goal: steps of SQLite's virtual machine "
      "differ by "
      "at most 10 %%.\n\n| notifications stored | count: steps | µs | page of 20: steps | µs |\n"
      "|---|---|---|---|---|\n",
      kTopics);
  for (const std::uint64_t size : {10'000ull, 100'000ull, 1'000'000ull, 10'000'000ull}) {
    if (options.quick && size > 100'000) break;
    feeds.fill(size);
    CHECK(feeds.store->index_now());
    const Cost count = cost_of(feeds, 0), page = cost_of(feeds, 20);
    std::printf("| %llu | %.0f | %.0f | %.0f | %.0f |\n", static_cast<unsigned long long>(size),
                count.steps, count.microseconds, page.steps, page.microseconds);
    write_point(options, "growth-history-count", static_cast<double>(size), count.microseconds);
    write_point(options, "growth-history-page", static_cast<double>(size), page.microseconds);
  }
}

void print_marks(FeedStore& feeds) {
  constexpr int kGroups = 100, kGroup = 64;
  const Offset head = feeds.log->tail().head();
  const double began = seconds();
  for (int g = 0; g < kGroups; ++g) {
    std::vector<PublishRequest> group(kGroup);
    for (int i = 0; i < kGroup; ++i) {
      const Offset offset = head - static_cast<Offset>(g * kGroup + i);
      group[static_cast<std::size_t>(i)].command =
          MarkCommand{"ana", Mark::read, {feeds.log->epochs().cursor(offset)}, {}};
    }
    for (const auto& outcome : feeds.log->publish(group, feeds.clock.wall())) CHECK(outcome);
  }
  const double each = (seconds() - began) / (kGroups * kGroup);
  std::printf(
      "\nMarks of single notifications, %d at once, each durable and with its counts: %.0f µs each, %.0f a "
      "second.\n",
      kGroup, each * 1e6, 1 / each);
}

// How long one slice of retention keeps the log-writer from its publishers.
void print_retention(const Options& options) {
  LogOptions kept;
  kept.rules = {{"team/#", std::nullopt, 100}};
  FeedStore feeds(std::move(kept));
  feeds.fill(options.quick ? 20'000 : 200'000);
  CHECK(feeds.store->index_now());
  std::vector<double> times;
  for (int quiet = 0; quiet < 3 && times.size() < 100'000;) {
    const double began = seconds();
    const auto done = feeds.log->maintain(feeds.clock.wall());
    CHECK(done);
    times.push_back((seconds() - began) * 1e3);
    quiet = done.value() ? 0 : quiet + 1;
  }
  std::sort(times.begin(), times.end());
  std::printf(
      "\nRetention of %llu notifications down to 100 a topic: %zu slices, ms a slice: median %.1f, p99 "
      "%.1f, most "
      "%.1f. Goal: at most 5.\n",
      static_cast<unsigned long long>(feeds.stored), times.size(), median(times),
      times[times.size() * 99 / 100], times.back());
}

// A million memberships are written straight into the store; some of those users attach.
std::uint64_t print_broadcast(const Options& options) {
  const std::size_t followers = options.quick ? 50'000 : 1'000'000;
  const std::size_t attached = options.quick ? 1000 : 9900;
  testing::TemporaryFolder folder;
  const std::string data = folder.path("data");
  {
    std::filesystem::create_directory(data);
    SqliteOptions sqlite;
    sqlite.path = data + "/belfry.db";
    auto store = std::move(open_sqlite_store(sqlite)).value();
    CHECK(store->open(Epoch{1}));
    for (std::size_t i = 0; i < followers;) {
      std::vector<Event> event(1);
      event[0].topic = "setup";
      std::vector<Change> changes;
      for (int n = 0; n < 5000 && i < followers; ++n, ++i)
        changes.push_back(BeginFollow{"u" + std::to_string(i), "everybody", 0});
      CHECK(store->commit({event, {}, changes}));
    }
  }
  Belfry belfry(options, Target::Cores::first, data);
  Load load(*belfry.target);
  load.connect_publishers(1);
  for (std::size_t i = 0; i < attached; ++i) load.open_feed(belfry.token_of("u" + std::to_string(i)));
  load.wait_ready();
  const double commits = belfry.target->metric("belfry_events_published_total");
  std::uint64_t number = 0;
  std::vector<double> times;
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t before = load.deliveries();
    const double began = seconds();
    load.publish(
        1, 1,
        [&](std::uint64_t) {
          return R"({"topic":"everybody","notification":{"title":"x"},"data":{"n":)" +
                 std::to_string(number++) + "}}";
        },
        Load::Until::answered);
    if (!load.wait_deliveries(before + attached)) break;
    times.push_back((seconds() - began) * 1e3);
  }
  const double rows = (belfry.target->metric("belfry_events_published_total") - commits) / 5;
  std::printf(
      "\nA broadcast to %zu followers, %zu of them attached by server-sent events: %.0f row written each, "
      "no row "
      "for a user; the last delivery %.0f ms after the publish began (one shared core; this is a wall "
      "clock).\n",
      followers, attached, rows, median(times));
  return load.violations().total() + (times.size() == 5 ? 0 : 1);
}

}  // namespace

std::uint64_t run_feed(const Options& options) {
  {
    FeedStore feeds;
    print_costs(feeds, options);
    print_marks(feeds);
  }
  print_retention(options);
  return print_broadcast(options);
}

}  // namespace belfry::bench
