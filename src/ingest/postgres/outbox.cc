// The transactional outbox. Rows are taken over in batches: committed here with their numbers as the
// position, then marked there. If it ends in between, the position says which rows are to be marked, so
// none comes twice. The order of ids is that of each database session; rows of transactions that commit
// late are new whenever they appear, so none is passed over.

#include <boost/json/serialize.hpp>

#include "ingest/postgres/connection.h"
#include "ingest/postgres/drivers.h"
#include "ingest/read_json.h"

namespace belfry::ingest::postgres {
namespace json = boost::json;

namespace {

constexpr Duration kCleanInterval{std::chrono::minutes(1)};
constexpr std::size_t kCleanRows = 10'000;
constexpr std::string_view kRow =
    "SELECT id, topic, type, data, notification, key, to_char(expires AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), keys, spread_ms, version, batch, "
    "(extract(epoch FROM clock_timestamp() - published_at) * 1000)::bigint FROM ";

// What is stored as the position: the database, the last batch, and its rows.
struct Place {
  std::string installation;
  std::int64_t batch = 0;
  std::string ids;  // as an array of PostgreSQL: {1,2,3}; empty: they are marked

  std::string text() const {
    return json::serialize(json::object{{"installation", installation}, {"batch", batch}, {"ids", ids}});
  }
  static Result<Place> parse(const std::string& text) {
    Place out;
    const json::value value = TRY(read_json(text));
    const auto* batch = member(value, "batch");
    out.installation = member_text(value, "installation");
    if (out.installation.empty() || batch == nullptr || !batch->is_int64())
      return fail(Code::source_gap, "The stored position is not one of an outbox.");
    out.batch = batch->get_int64();
    out.ids = member_text(value, "ids");
    return out;
  }
};

class Outbox {
 public:
  Outbox(SourceContext& context, Connection connection)
      : context_(context),
        connection_(std::move(connection)),
        schema_(context.config().text("schema")),
        table_(connection_.quoted(schema_) + ".outbox"),
        relay_(connection_.quoted(schema_) + ".relay") {}

  Result<void> start();
  Result<void> run();

 private:
  Result<void> mark();
  Result<void> read_again(std::int64_t upto);
  // Commits the rows from `from` to `to`, of one batch.
  Result<void> take(const Rows& rows, std::size_t from, std::size_t to, Place place);
  static Result<json::value> record_of(const Rows& rows, std::size_t row);
  Result<void> clean();

  SourceContext& context_;
  Connection connection_;
  const std::string schema_, table_, relay_;
  Place place_;
  std::optional<Instant> cleaned_;  // nothing: there is more to clean
};

Result<void> Outbox::start() {
  const Rows locked = TRY(
      connection_.query("SELECT pg_try_advisory_lock(hashtext('belfry.outbox'), hashtext($1))", {schema_}));
  if (locked.text(0, 0) != "t") return fail(Code::source_failed, "Another Belfry reads this outbox.");
  // What is marked must stay marked, whatever the database does by default.
  TRY(connection_.execute("SET synchronous_commit = on"));
  // New rows are found by their index. Without statistics of a table that has just grown the planner sorts
  // all of them instead: ten times the time of a batch.
  TRY(connection_.execute("SET enable_sort = off"));
  TRY(connection_.execute("LISTEN " + connection_.quoted(schema_)));
  const Rows relay = TRY(connection_.query("SELECT installation::text, batch FROM " + relay_));
  if (relay.size() != 1)
    return fail(Code::source_failed, "The outbox is not installed: belfry source install postgres --url …");
  const std::string installation(relay.text(0, 0));
  const std::int64_t batch = relay.number(0, 1);
  const std::string stored = context_.position();
  if (stored.empty()) {
    place_.installation = installation;
    if (context_.config().text("begin") == "now") place_.batch = batch;
  } else {
    place_ = TRY(Place::parse(stored));
  }
  if (place_.installation != installation)
    return fail(Code::source_ahead,
                "This is another database than the one that was read, or the outbox was "
                "installed anew.");
  if (place_.batch > batch + 1 || (place_.batch == batch + 1 && place_.ids.empty()))
    return fail(Code::source_ahead, "The database knows batches up to " + std::to_string(batch) + ", " +
                                        std::to_string(place_.batch) + " were read.");
  if (place_.batch == batch + 1) TRY(mark());
  if (place_.batch < batch) TRY(read_again(batch));
  return {};
}

// Says in the database that the last batch is taken over.
Result<void> Outbox::mark() {
  const std::string batch = std::to_string(place_.batch);
  const auto expected = std::count(place_.ids.begin(), place_.ids.end(), ',') + 1;
  const Rows done = TRY(connection_.query("WITH marked AS (UPDATE " + table_ +
                                              " SET batch = $1, relayed_at = now() WHERE id = "
                                              "ANY($2::bigint[]) AND batch IS NULL RETURNING 1), "
                                              "noted AS (UPDATE " +
                                              relay_ +
                                              " SET batch = $1 WHERE (SELECT count(*) FROM marked) = $3) "
                                              "SELECT count(*) FROM marked",
                                          {batch, place_.ids, std::to_string(expected)}));
  if (done.number(0, 0) != expected)
    return fail(Code::source_ahead, "Of the last batch the database has " + std::string(done.text(0, 0)) +
                                        " rows, " + std::to_string(expected) + " were read.");
  return {};
}

// Belfry was restored from a backup, or is to begin with the earliest: what it does not have is read again
// while it is kept.
Result<void> Outbox::read_again(std::int64_t upto) {
  const Rows kept = TRY(connection_.query(
      "SELECT count(DISTINCT batch), min(batch) FROM " + table_ + " WHERE batch > $1 AND batch <= $2",
      {std::to_string(place_.batch), std::to_string(upto)}));
  const std::int64_t missing = upto - place_.batch - kept.number(0, 0);
  if (missing > 0 && !context_.position().empty())
    context_.alarm(fail(Code::source_gap,
                        std::to_string(missing) + " batches were relayed and have been removed since."));
  while (!context_.stopping()) {
    const Rows rows = TRY(connection_.query(std::string(kRow) + table_ +
                                                " WHERE batch > $1 AND batch <= $2 "
                                                "ORDER BY batch, id LIMIT 1000",
                                            {std::to_string(place_.batch), std::to_string(upto)}));
    if (rows.size() == 0) break;
    // A batch has at most 1,000 rows, so the first one is whole; a later one may be cut by the limit.
    std::size_t from = 0;
    while (from < rows.size()) {
      const std::int64_t batch = rows.number(from, 10);
      std::size_t to = from;
      while (to < rows.size() && rows.number(to, 10) == batch) ++to;
      if (to == rows.size() && rows.size() == 1000 && from > 0) break;
      TRY(take(rows, from, to, {place_.installation, batch, {}}));
      from = to;
    }
  }
  place_.batch = upto;
  return {};
}

Result<json::value> Outbox::record_of(const Rows& rows, std::size_t row) {
  static constexpr std::string_view kNames[] = {"",    "topic",   "type", "data",      "notification",
                                                "key", "expires", "keys", "spread_ms", "version"};
  json::object body;
  for (std::size_t column = 1; column < std::size(kNames); ++column) {
    if (rows.is_null(row, column)) continue;
    const bool is_json = column == 3 || column == 4 || column == 7;
    const std::string_view text = rows.text(row, column);
    if (is_json) {
      body[kNames[column]] = TRY(read_json(text));
    } else if (column == 8) {
      body[kNames[column]] = rows.number(row, column);
    } else {
      body[kNames[column]] = text;
    }
  }
  return json::value(json::object{{"value", std::move(body)}});
}

Result<void> Outbox::take(const Rows& rows, std::size_t from, std::size_t to, Place place) {
  SourceBatch batch;
  for (std::size_t row = from; row < to; ++row) {
    const std::string id(rows.text(row, 0));
    auto record = record_of(rows, row);
    record ? context_.map(batch, record.value(), id)
           : context_.bury(batch, rows.text(row, 3), id, record.error());
  }
  batch.positions.emplace_back("", place.text());
  TRY(context_.commit(std::move(batch)));
  place_ = std::move(place);
  return {};
}

// What is kept for long enough goes, a part at a time, so that it never holds up new rows for long.
Result<void> Outbox::clean() {
  if (cleaned_ && context_.clock().now() - *cleaned_ < kCleanInterval) return {};
  const Rows gone =
      TRY(connection_.query("DELETE FROM " + table_ + " WHERE id IN (SELECT id FROM " + table_ +
                            " WHERE batch IS NOT NULL ORDER BY batch LIMIT " + std::to_string(kCleanRows) +
                            ") AND relayed_at < now() - interval '7 days'"));
  cleaned_.reset();
  if (gone.affected() < kCleanRows) cleaned_ = context_.clock().now();
  return {};
}

Result<void> Outbox::run() {
  context_.running();
  while (!context_.stopping()) {
    TRY(clean());
    const Rows rows =
        TRY(connection_.query(std::string(kRow) + table_ + " WHERE batch IS NULL ORDER BY id LIMIT 1000"));
    if (rows.size() > 0) {
      std::string ids = "{";
      for (std::size_t row = 0; row < rows.size(); ++row)
        ids += (row > 0 ? "," : "") + std::string(rows.text(row, 0));
      TRY(take(rows, 0, rows.size(), {place_.installation, place_.batch + 1, ids + "}"}));
      TRY(mark());
      context_.set_lag(static_cast<std::uint64_t>(std::max<std::int64_t>(rows.number(0, 11), 0)), "ms");
      continue;
    }
    context_.set_lag(0, "ms");
    if (!cleaned_) continue;
    // A notification that was lost costs a second; the next look also tells whether the connection lives.
    if (!TRY(connection_.notified())) (void)context_.wait(connection_.socket(), false, limits::source_poll);
    (void)TRY(connection_.notified());
  }
  return {};
}

}  // namespace

Result<void> run_outbox(SourceContext& context) {
  Outbox outbox(context, TRY(Connection::open(context)));
  TRY(outbox.start());
  return outbox.run();
}

}  // namespace belfry::ingest::postgres
