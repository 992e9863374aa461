#pragma once
// A connection to PostgreSQL, over libpq without blocking: whoever waits for it hears at once that the
// source is to stop. Private to postgres/.
//
// Owner: a driver. Thread: the source's. Errors: Code::source_failed with the server's words, without
// credentials.

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/source.h"

namespace belfry::ingest::postgres {

class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result) {}

  std::size_t size() const { return static_cast<std::size_t>(PQntuples(result_.get())); }
  std::size_t columns() const { return static_cast<std::size_t>(PQnfields(result_.get())); }
  std::string_view text(std::size_t row, std::size_t column) const;
  bool is_null(std::size_t row, std::size_t column) const;
  std::int64_t number(std::size_t row, std::size_t column) const;
  std::uint32_t type(std::size_t column) const { return PQftype(result_.get(), static_cast<int>(column)); }
  std::string_view name(std::size_t column) const {
    return PQfname(result_.get(), static_cast<int>(column));
  }
  std::size_t affected() const;

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

class Connection {
 public:
  struct Settings {
    std::string url, password;
    std::string name;  // application_name
    bool replication = false;
  };
  // Without a context it cannot be told to stop (the command line).
  static Result<Connection> open(const Settings& settings, const SourceContext* context);
  static Result<Connection> open(const SourceContext& context, bool replication = false);

  // One statement, parameters as text. On a replication connection without parameters only.
  Result<Rows> query(const std::string& sql, const std::vector<std::string>& parameters = {});
  // Several statements, without rows.
  Result<void> execute(const std::string& sql);
  // Takes in what has arrived; true if there was a notification (LISTEN).
  Result<bool> notified();

  // After START_REPLICATION: the next message, if one is here.
  Result<std::optional<std::string>> copied();
  Result<void> send_copy(std::string_view bytes);

  int socket() const { return PQsocket(connection_.get()); }
  // By libpq, as the server's settings ask for it.
  std::string quoted(std::string_view identifier) const;
  std::string literal(std::string_view text) const;
  // "public.bookings" to "public"."bookings".
  std::string quoted_table(std::string_view table) const;

 private:
  Connection() = default;
  Result<void> connect(const Settings& settings);
  Result<void> flush();
  Error wrong() const;
  using Escape = char*(PGconn*, const char*, std::size_t);
  std::string escaped(Escape* escape, std::string_view text) const;
  bool wait(bool for_write, Duration most) const;

  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> connection_;
  const SourceContext* context_ = nullptr;
};

}  // namespace belfry::ingest::postgres
