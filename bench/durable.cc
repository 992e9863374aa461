// Publishing with durability, against what it cannot beat: bare SQLite with the same tables and group size
// on the same disk, and the limit loop that answers the same requests and keeps nothing; all in one run.

#include <sqlite3.h>

#include "base/base.h"
#include "compare.h"
#include "net/net.h"
#include "workloads.h"

namespace belfry::bench {
namespace {

constexpr int kTopics = 10'000;

// The tables and statements that a plain program would use: the same schema, its index kept with each
// insert.
class BareSqlite {
 public:
  explicit BareSqlite(const std::string& path) {
    CHECK(sqlite3_open(path.c_str(), &database_) == SQLITE_OK);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA "
        "wal_autocheckpoint=4000;"
        "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT UNIQUE, floor INTEGER, last_seq INTEGER);"
        "CREATE TABLE events(offset INTEGER PRIMARY KEY, topic INTEGER, seq INTEGER, type TEXT, time "
        "INTEGER, data TEXT,"
        " notification TEXT, key TEXT, expires INTEGER, keys TEXT, spread_ms INTEGER, version TEXT);"
        "CREATE TABLE topic_index(topic INTEGER, offset INTEGER, PRIMARY KEY(topic, offset)) WITHOUT "
        "ROWID;");
    prepare(&event_, "INSERT INTO events VALUES(?,?,?,'bench',?,?,NULL,NULL,NULL,NULL,NULL,NULL)");
    prepare(&index_, "INSERT INTO topic_index VALUES(?,?)");
  }
  ~BareSqlite() {
    sqlite3_finalize(event_);
    sqlite3_finalize(index_);
    sqlite3_close(database_);
  }
  BareSqlite(const BareSqlite&) = delete;
  BareSqlite& operator=(const BareSqlite&) = delete;

  void commit(std::size_t rows) {
    run("BEGIN IMMEDIATE");
    for (std::size_t i = 0; i < rows; ++i) {
      const std::int64_t topic = static_cast<std::int64_t>((++offset_ * 7919) % kTopics);
      const std::string data =
          "{\"n\":" + std::to_string(offset_) + ",\"p\":\"" + std::string(100, 'x') + "\"}";
      sqlite3_bind_int64(event_, 1, offset_);
      sqlite3_bind_int64(event_, 2, topic);
      sqlite3_bind_int64(event_, 3, offset_ / kTopics + 1);
      sqlite3_bind_int64(event_, 4, 1'790'000'000'000 + offset_);
      sqlite3_bind_text(event_, 5, data.data(), static_cast<int>(data.size()), SQLITE_STATIC);
      step(event_);
      sqlite3_bind_int64(index_, 1, topic);
      sqlite3_bind_int64(index_, 2, offset_);
      step(index_);
    }
    run("COMMIT");
  }

 private:
  void run(const char* sql) { CHECK(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK); }
  void prepare(sqlite3_stmt** to, const char* sql) {
    CHECK(sqlite3_prepare_v2(database_, sql, -1, to, nullptr) == SQLITE_OK);
  }
  static void step(sqlite3_stmt* statement) {
    CHECK(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt *event_ = nullptr, *index_ = nullptr;
  std::int64_t offset_ = 0;
};

std::string topic_of(std::uint64_t number) { return "t/" + std::to_string((number * 7919) % kTopics); }

std::string batch_of(std::uint64_t& number, std::size_t count) {
  std::string body = "[";
  for (std::size_t i = 0; i < count; ++i, ++number)
    body += (i == 0 ? "" : ",") + event_body(topic_of(number), number, 100);
  return body + "]";
}

std::string single(std::uint64_t& number) {
  const std::uint64_t mine = number++;
  return event_body(topic_of(mine), mine, 100);
}

// Events a second that the server acknowledges.
double answered_rate(Target& target, std::size_t publishers, std::size_t batch, std::uint64_t events,
                     std::uint64_t& number) {
  Load load(target);
  load.connect_publishers(publishers);
  const double began = seconds();
  if (batch == 1) {
    load.publish(events, publishers, [&](std::uint64_t) { return single(number); }, Load::Until::answered);
  } else {
    load.publish(
        events / batch, publishers, [&](std::uint64_t) { return batch_of(number, batch); },
        Load::Until::answered);
  }
  return static_cast<double>(events) / (seconds() - began);
}

double bare_rate(BareSqlite& bare, std::size_t group, std::uint64_t events) {
  const double began = seconds();
  for (std::uint64_t done = 0; done < events; done += group) bare.commit(group);
  return static_cast<double>(events) / (seconds() - began);
}

std::string spread(const std::vector<double>& ratios) {
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  char text[60];
  std::snprintf(text, sizeof text, "%.2f (%.2f to %.2f)", median(ratios), *least, *most);
  return text;
}

struct Bounds {
  BareSqlite& sqlite;
  Target& limit;
};

void print_row(Belfry& belfry, const Bounds& bounds, const char* rows, const char* what,
               std::size_t publishers, std::size_t batch, std::uint64_t events, std::uint64_t& number) {
  std::vector<double> to_sqlite, to_limit, to_slower;
  double group = 0;
  for (int round = 0; round < 5; ++round) {
    const double commits = belfry.target->metric("belfry_commits_total");
    const double ours = answered_rate(*belfry.target, publishers, batch, events, number);
    // Bare SQLite commits groups of the size that the server's turned out to be.
    group = static_cast<double>(events) /
            std::max(1.0, belfry.target->metric("belfry_commits_total") - commits);
    const double sqlite =
        bare_rate(bounds.sqlite, std::max<std::size_t>(1, static_cast<std::size_t>(group + 0.5)), events);
    std::uint64_t same = number - events;
    const double limit = answered_rate(bounds.limit, publishers, batch, events, same);
    to_sqlite.push_back(ours / sqlite);
    to_limit.push_back(ours / limit);
    to_slower.push_back(ours / std::min(sqlite, limit));
  }
  std::printf("| %s | %s | %.0f | %s | %s | %s |\n", rows, what, group, spread(to_sqlite).c_str(),
              spread(to_limit).c_str(), spread(to_slower).c_str());
}

}  // namespace

std::string net_cursor(Target& target, const std::string& topic) {
  net::ClientRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(target.port()) + "/v1/events?topic=" + topic;
  request.headers = {{"Authorization", "Bearer " + target.token}};
  const auto answer = net::fetch(request);
  CHECK(answer);
  for (const auto& [name, value] : answer.value().headers)
    if (name == "belfry-cursor") return value;
  return {};
}

std::uint64_t run_publish(const Options& options) {
  std::printf(
      "Acknowledged events a second as a ratio to bare SQLite (same tables, same group size, its index "
      "kept with each insert), and to the limit loop that answers the same requests and stores nothing. "
      "Goal: at least 0.7 of the slower.\n\n"
      "| rows stored | publishers | group | to SQLite | to the limit loop | to the slower |\n"
      "|---|---|---|---|---|---|\n");
  Belfry belfry(options, Target::Cores::all);  // as a plain program has the machine to itself
  testing::TemporaryFolder folder;
  BareSqlite bare(folder.path("bare.db"));
  Options limit_only = options;
  limit_only.servers = {"limit"};
  Target limit(chosen_servers(limit_only).at(0), options.bin, Target::Cores::all);
  const Bounds bounds{bare, limit};
  std::uint64_t number = 0;
  const std::uint64_t events = options.quick ? 5'000 : 20'000;
  const auto fill = [&](std::uint64_t upto) {
    Load load(*belfry.target);
    load.connect_publishers(4);
    while (number < upto) {
      const std::uint64_t batches = std::min<std::uint64_t>(50, (upto - number + 999) / 1000);
      for (std::uint64_t i = 0; i < batches * 4; ++i) bare.commit(250);
      load.publish(
          batches, 4, [&](std::uint64_t) { return batch_of(number, 1000); }, Load::Until::answered);
      std::fprintf(stderr, "\rfilled %llu rows ", static_cast<unsigned long long>(number));
    }
    std::fprintf(stderr, "\r                      \r");
  };
  fill(10'000);
  print_row(belfry, bounds, "10,000", "64, one event each", 64, 1, events, number);
  print_row(belfry, bounds, "10,000", "4, batches of 100", 4, 100, events, number);
  if (options.quick) return 0;
  fill(1'000'000);
  print_row(belfry, bounds, "1,000,000", "64, one event each", 64, 1, events, number);
  print_row(belfry, bounds, "1,000,000", "4, batches of 100", 4, 100, events, number);
  return 0;
}

std::uint64_t run_full(const Options& options) {
  const std::uint64_t stored = options.quick ? 200'000 : 10'000'000;
  std::printf(
      "Acknowledged events a second with %llu events stored, as a ratio to a Belfry that has next to none; "
      "in "
      "turns. Goal: at least 0.7.\n\n| publishers | ratio |\n|---|---|\n",
      static_cast<unsigned long long>(stored));
  Belfry full(options, Target::Cores::all), empty(options, Target::Cores::all);
  std::uint64_t number = 0, other = 0;
  {
    Load load(*full.target);
    load.connect_publishers(4);
    while (number < stored) {
      load.publish(50, 4, [&](std::uint64_t) { return batch_of(number, 1000); }, Load::Until::answered);
      std::fprintf(stderr, "\rfilled %llu rows ", static_cast<unsigned long long>(number));
    }
    std::fprintf(stderr, "\r                      \r");
  }
  for (const auto& [what, publishers, batch, events] :
       {std::tuple{"64, one event each", std::size_t{64}, std::size_t{1}, options.quick ? 5'000u : 20'000u},
        std::tuple{"4, batches of 100", std::size_t{4}, std::size_t{100},
                   options.quick ? 20'000u : 200'000u}}) {
    std::vector<double> ratios;
    for (int round = 0; round < 9; ++round) {
      const double with = answered_rate(*full.target, publishers, batch, events, number);
      ratios.push_back(with / answered_rate(*empty.target, publishers, batch, events, other));
    }
    std::printf("| %s | %s |\n", what, spread(ratios).c_str());
  }
  return 0;
}

std::uint64_t run_rare(const Options& options) {
  Belfry belfry(options);
  Load load(*belfry.target);
  load.connect_publishers(4);
  load.publish(1, 1, [](std::uint64_t) { return event_body("rare", 0, 100); }, Load::Until::answered);
  const std::string cursor = net_cursor(*belfry.target, "rare");
  const std::uint64_t foreign = options.quick ? 100'000 : 1'000'000;
  std::uint64_t number = 0;
  load.publish(
      foreign / 1000, 4, [&](std::uint64_t) { return batch_of(number, 1000); }, Load::Until::answered);
  load.publish(1, 1, [](std::uint64_t) { return event_body("rare", 1, 100); }, Load::Until::answered);
  const double rows = belfry.target->metric("belfry_store_rows_read_total");
  const Cpu before = belfry.target->cpu();
  load.open(1, Transport::sse, "rare", cursor, 1);
  const bool came = load.wait_deliveries(1);
  const double used = (belfry.target->cpu() - before).total();
  std::printf(
      "A session on a rare topic comes back over %llu events of others.\n\n"
      "| its event came | rows and index entries looked at in the store | CPU in ms |\n|---|---|---|\n| %s "
      "| %.0f | %.0f |\n",
      static_cast<unsigned long long>(foreign), came ? "yes" : "no",
      belfry.target->metric("belfry_store_rows_read_total") - rows, used * 1e3);
  return load.violations().total() + (came ? 0 : 1);
}

}  // namespace belfry::bench
