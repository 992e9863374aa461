// Any table that only grows, read by the horizon of ingest/horizon.h. The table is only read: no trigger,
// no column, no right to write is needed.
//
// The position: "xid:id:floor" - everything up to this (transaction, id) is taken, nothing at or below the
// floor can come - or, while all of a table is read at first, "first:<xid>:<id>:<floor>". Behind it stands
// "@<system>/<timeline>": transaction ids mean something in one database and one course of it only.

#include <charconv>

#include "ingest/horizon.h"
#include "ingest/pg_output.h"
#include "ingest/postgres/connection.h"
#include "ingest/postgres/drivers.h"

namespace belfry::ingest::postgres {
namespace json = boost::json;

namespace {

constexpr std::size_t kRows = 1000;

// The row's 32 bit transaction id, with the epoch of the running one put in front.
constexpr std::string_view kXid =
    "(CASE WHEN xmin::text::bigint > ($1::bigint & 4294967295) THEN ($1::bigint - ($1::bigint & "
    "4294967295)) - "
    "4294967296 ELSE $1::bigint - ($1::bigint & 4294967295) END + xmin::text::bigint)";

struct Place {
  bool first = false;     // all of the table is read, by id
  std::uint64_t xid = 0;  // first: the horizon that was fixed for it
  std::int64_t id = 0;
  std::int64_t floor = 0;  // first: the highest id

  std::string text() const {
    const std::string numbers =
        std::to_string(xid) + ":" + std::to_string(id) + ":" + std::to_string(floor);
    return first ? "first:" + numbers : numbers;
  }
  // Of what stands before the @.
  static Result<Place> parse(std::string_view text) {
    Place out;
    out.first = text.starts_with("first:");
    if (out.first) text.remove_prefix(6);
    std::int64_t numbers[3] = {};
    for (auto& number : numbers) {
      const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
      if (parsed.ec != std::errc{})
        return fail(Code::source_gap, "The stored position is not one of a table.");
      text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
      if (text.starts_with(':')) text.remove_prefix(1);
    }
    out.xid = static_cast<std::uint64_t>(numbers[0]);
    out.id = numbers[1];
    out.floor = numbers[2];
    return out;
  }
};

class Table {
 public:
  Table(SourceContext& context, Connection connection)
      : context_(context),
        connection_(std::move(connection)),
        name_(context.config().text("table")),
        table_(connection_.quoted_table(name_)),
        id_(connection_.quoted(context.config().text("id"))) {}

  Result<void> start();
  Result<void> run();

 private:
  struct Snapshot {
    std::uint64_t oldest = 0, next = 0;
    std::int64_t highest = 0;
  };
  Result<void> look_at_origin(std::string_view stored);
  std::string origin();
  std::string position_of(const Place& place) const { return place.text() + origin_; }
  Result<void> store(const Place& place);
  Result<Snapshot> begin();
  Result<std::vector<std::string>> living();
  Result<bool> read_first();
  // True: there is more at once.
  Result<bool> read_new();
  Result<void> take(const Rows& rows, Place after);
  std::string columns() const;

  SourceContext& context_;
  Connection connection_;
  const std::string name_, table_, id_;
  Place place_;
  std::string origin_;  // "@<system>/<timeline>"; empty: the database does not tell
  std::optional<TableHorizon> horizon_;
};

std::string Table::columns() const {
  std::string out;
  for (const std::string& column : context_.config().list("columns"))
    out += ", " + (column == "*" ? "t.*" : connection_.quoted(column));
  return out;
}

Result<Table::Snapshot> Table::begin() {
  TRY(connection_.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  const Rows rows = TRY(connection_.query(
      "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text, (SELECT coalesce(max(" + id_ +
      "), 0)::bigint FROM " + table_ + ") FROM pg_current_snapshot() s"));
  return Snapshot{static_cast<std::uint64_t>(rows.number(0, 0)),
                  static_cast<std::uint64_t>(rows.number(0, 1)), rows.number(0, 2)};
}

Result<std::vector<std::string>> Table::living() {
  const Rows rows =
      TRY(connection_.query("SELECT virtualxid FROM pg_locks WHERE locktype = 'virtualxid' AND granted AND "
                            "mode = 'ExclusiveLock' "
                            "AND pid <> pg_backend_pid()"));
  std::vector<std::string> out;
  for (std::size_t row = 0; row < rows.size(); ++row) out.emplace_back(rows.text(row, 0));
  return out;
}

// Functions that a hosted database may keep to itself: then nothing is known. A standby does not say which
// timeline it follows but by its checkpoints.
std::string Table::origin() {
  const auto rows = connection_.query(
      "SELECT system_identifier, CASE WHEN pg_is_in_recovery() THEN "
      "(SELECT timeline_id FROM pg_control_checkpoint()) ELSE "
      "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END FROM "
      "pg_control_system()");
  if (!rows || rows.value().size() != 1) return {};
  return "@" + std::string(rows.value().text(0, 0)) + "/" + std::string(rows.value().text(0, 1));
}

// A replica that was promoted goes on with the same transactions, a database that was set back in time
// makes new ones under old numbers: from here they look alike.
Result<void> Table::look_at_origin(std::string_view stored) {
  if (stored.empty() || origin_.empty()) return {};
  const auto system_of = [](std::string_view origin) { return origin.substr(0, origin.find('/')); };
  if (system_of(stored) != system_of(origin_))
    return fail(Code::source_ahead, "This is another database than the one that was read.");
  if (stored != origin_)
    context_.alarm(fail(Code::source_gap,
                        "The database went over to another timeline. If it was set back, rows that it has "
                        "got since may have been passed over."));
  return {};
}

Result<void> Table::store(const Place& place) {
  SourceBatch batch;
  batch.positions.emplace_back("", position_of(place));
  return context_.commit(std::move(batch));
}

Result<void> Table::start() {
  const std::string stored = context_.position();
  const std::string_view before =
      std::string_view(stored).substr(std::min(stored.find('@'), stored.size()));
  origin_ = origin();
  const Snapshot now = TRY(begin());
  TRY(connection_.execute("COMMIT"));
  if (stored.empty()) {
    const bool all = context_.config().text("begin") == "earliest";
    place_ = all ? Place{true, now.oldest, 0, now.highest} : Place{false, now.oldest, -1, now.highest};
  } else {
    place_ = TRY(Place::parse(stored.substr(0, stored.find('@'))));
    TRY(look_at_origin(before));
  }
  if (place_.xid > now.next)
    return fail(Code::source_ahead, "The database is at transaction " + std::to_string(now.next) +
                                        ", rows up to " + std::to_string(place_.xid) + " were read.");
  if (origin_.empty()) origin_ = before;
  if (stored.empty() || before != origin_) TRY(store(place_));
  std::int64_t slack = 0;
  const std::string text = context_.config().text("id_slack");
  (void)std::from_chars(text.data(), text.data() + text.size(), slack);
  horizon_.emplace(place_.first ? 0 : place_.floor, slack);
  return {};
}

Result<void> Table::take(const Rows& rows, Place after) {
  SourceBatch batch;
  const auto dot = name_.find('.');
  for (std::size_t row = 0; row < rows.size(); ++row) {
    json::object columns;
    for (std::size_t column = 2; column < rows.columns(); ++column)
      columns[rows.name(column)] = rows.is_null(row, column)
                                       ? json::value(nullptr)
                                       : column_value(rows.type(column), rows.text(row, column));
    json::object record{{"table", dot == std::string::npos ? name_ : name_.substr(dot + 1)},
                        {"schema", dot == std::string::npos ? std::string() : name_.substr(0, dot)},
                        {"id", rows.text(row, 1)}};
    record["row"] = std::move(columns);
    context_.map(batch, json::value(std::move(record)), std::string(rows.text(row, 1)));
  }
  batch.positions.emplace_back("", position_of(after));
  TRY(context_.commit(std::move(batch)));
  place_ = after;
  return {};
}

// All that was there at the beginning, by id.
Result<bool> Table::read_first() {
  const Snapshot now = TRY(begin());
  const Rows rows =
      TRY(connection_.query("SELECT " + std::string(kXid) + ", " + id_ + columns() + " FROM " + table_ +
                                " t WHERE " + id_ + " > $2 AND " + id_ + " <= $3 AND " + std::string(kXid) +
                                " < $4::bigint ORDER BY " + id_ + " LIMIT " + std::to_string(kRows),
                            {std::to_string(now.next), std::to_string(place_.id),
                             std::to_string(place_.floor), std::to_string(place_.xid)}));
  TRY(connection_.execute("COMMIT"));
  Place after = place_;
  if (rows.size() < kRows) {
    after = {false, place_.xid, -1, 0};
  } else {
    after.id = rows.number(rows.size() - 1, 1);
  }
  TRY(take(rows, after));
  return true;
}

// What became certain since the last look. A cursor: the rows are put into order once, however many.
Result<bool> Table::read_new() {
  TableLook look;
  look.living = TRY(living());
  const Snapshot now = TRY(begin());
  (void)TRY(connection_.query(
      "DECLARE news NO SCROLL CURSOR FOR SELECT " + std::string(kXid) + ", " + id_ + columns() + " FROM " +
          table_ + " t WHERE " + id_ + " > $2 AND (" + std::string(kXid) + ", " + id_ +
          ") > ($3::bigint, $4::bigint) AND " + std::string(kXid) + " < $5::bigint ORDER BY 1, 2",
      {std::to_string(now.next), std::to_string(horizon_->floor()), std::to_string(place_.xid),
       std::to_string(place_.id), std::to_string(now.oldest)}));
  const Place end{false, now.oldest, -1, horizon_->floor()};
  bool any = false;
  while (!look.all_taken) {
    const Rows rows = TRY(connection_.query("FETCH " + std::to_string(kRows) + " FROM news"));
    look.all_taken = rows.size() < kRows;
    any = any || rows.size() > 0;
    if (rows.size() == 0) break;
    const std::size_t last = rows.size() - 1;
    const Place after{false, static_cast<std::uint64_t>(rows.number(last, 0)), rows.number(last, 1),
                      end.floor};
    TRY(take(rows, look.all_taken ? end : after));
    if (context_.stopping()) return true;
  }
  TRY(connection_.execute("COMMIT"));
  place_ = end;  // a horizon that moved without rows need not be stored
  look.oldest = now.oldest;
  look.next = now.next;
  look.highest = now.highest;
  horizon_->looked(std::move(look));
  return any;
}

Result<void> Table::run() {
  context_.running();
  while (!context_.stopping()) {
    const bool more = TRY(place_.first ? read_first() : read_new());
    if (!more) (void)context_.wait(-1, false, limits::source_poll / 4);
  }
  return {};
}

}  // namespace

Result<void> run_table(SourceContext& context) {
  Table table(context, TRY(Connection::open(context)));
  TRY(table.start());
  return table.run();
}

}  // namespace belfry::ingest::postgres
