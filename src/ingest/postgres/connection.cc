#include "ingest/postgres/connection.h"

#include <poll.h>

#include <charconv>

namespace belfry::ingest::postgres {
namespace {

// One line, without the passwords that libpq may repeat.
std::string cleaned(std::string_view message) {
  std::string out;
  for (const char c : message) out += c == '\n' ? ' ' : c;
  while (out.ends_with(' ')) out.pop_back();
  return without_credentials(std::move(out));
}

void quiet(void*, const char*) {}

}  // namespace

std::string_view Rows::text(std::size_t row, std::size_t column) const {
  const int r = static_cast<int>(row), c = static_cast<int>(column);
  return {PQgetvalue(result_.get(), r, c), static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
}

bool Rows::is_null(std::size_t row, std::size_t column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), static_cast<int>(column)) != 0;
}

std::int64_t Rows::number(std::size_t row, std::size_t column) const {
  const std::string_view digits = text(row, column);
  std::int64_t out = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

std::size_t Rows::affected() const {
  const std::string_view digits = PQcmdTuples(result_.get());
  std::size_t out = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

Result<Connection> Connection::open(const SourceContext& context, bool replication) {
  Settings settings;
  settings.url = TRY(context.config().secret("url"));
  settings.password = TRY(context.config().secret("password"));
  settings.name = "belfry-" + context.config().name;
  settings.replication = replication;
  return open(settings, &context);
}

Result<Connection> Connection::open(const Settings& settings, const SourceContext* context) {
  Connection out;
  out.context_ = context;
  TRY(out.connect(settings));
  return out;
}

Result<void> Connection::connect(const Settings& settings) {
  std::vector<const char*> names{"dbname", "fallback_application_name", "client_encoding"};
  std::vector<const char*> values{settings.url.c_str(), settings.name.c_str(), "UTF8"};
  if (!settings.password.empty()) names.push_back("password"), values.push_back(settings.password.c_str());
  if (settings.replication) names.push_back("replication"), values.push_back("database");
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 1));
  if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) return wrong();
  PQsetNoticeProcessor(connection_.get(), quiet, nullptr);
  auto step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (!wait(step == PGRES_POLLING_WRITING, limits::source_answer_time_max))
      return fail(Code::source_failed, "The database does not answer.");
    step = PQconnectPoll(connection_.get());
    if (step == PGRES_POLLING_FAILED) return wrong();
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0) return wrong();
  return {};
}

Error Connection::wrong() const {
  return fail(Code::source_failed, cleaned(connection_ ? PQerrorMessage(connection_.get()) : "no memory"));
}

// False: it took too long, or the source is to stop.
bool Connection::wait(bool for_write, Duration most) const {
  if (context_ != nullptr) {
    const Instant until = context_->clock().now() + most;
    return context_->wait(socket(), for_write, most) && context_->clock().now() < until;
  }
  pollfd watched{socket(), static_cast<short>(for_write ? POLLOUT : POLLIN), 0};
  return ::poll(&watched, 1, static_cast<int>(most.count())) > 0;
}

Result<void> Connection::flush() {
  while (true) {
    const int left = PQflush(connection_.get());
    if (left < 0) return wrong();
    if (left == 0) return {};
    if (!wait(true, limits::source_answer_time_max))
      return fail(Code::source_failed, "The database does not take what is sent.");
    if (PQconsumeInput(connection_.get()) == 0) return wrong();
  }
}

Result<Rows> Connection::query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  for (const auto& parameter : parameters) values.push_back(parameter.c_str());
  const int sent = parameters.empty()
                       ? PQsendQuery(connection_.get(), sql.c_str())
                       : PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()),
                                           nullptr, values.data(), nullptr, nullptr, 0);
  if (sent == 0) return wrong();
  TRY(flush());
  std::optional<Rows> rows;
  std::optional<Error> error;
  while (true) {
    while (PQisBusy(connection_.get()) != 0) {
      if (!wait(false, limits::source_answer_time_max))
        return fail(Code::source_failed, "The database does not answer.");
      if (PQconsumeInput(connection_.get()) == 0) return wrong();
    }
    PGresult* result = PQgetResult(connection_.get());
    if (result == nullptr) break;
    Rows one(result);
    const auto status = PQresultStatus(result);
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE)
      error = fail(Code::source_failed, cleaned(PQresultErrorMessage(result)));
    rows = std::move(one);
    if (status == PGRES_COPY_BOTH) break;
  }
  if (error) return *error;
  if (!rows) return wrong();
  return std::move(*rows);
}

Result<void> Connection::execute(const std::string& sql) {
  (void)TRY(query(sql));
  return {};
}

Result<bool> Connection::notified() {
  if (PQconsumeInput(connection_.get()) == 0) return wrong();
  bool any = false;
  while (PGnotify* notification = PQnotifies(connection_.get())) {
    any = true;
    PQfreemem(notification);
  }
  return any;
}

Result<std::optional<std::string>> Connection::copied() {
  for (int attempt = 0; attempt < 2; ++attempt) {
    char* buffer = nullptr;
    const int size = PQgetCopyData(connection_.get(), &buffer, 1);
    if (size > 0) {
      std::string out(buffer, static_cast<std::size_t>(size));
      PQfreemem(buffer);
      return std::optional<std::string>(std::move(out));
    }
    if (size == -1) {  // the server ended the stream; why is in the result
      PGresult* result = PQgetResult(connection_.get());
      const std::string text = result == nullptr ? "" : cleaned(PQresultErrorMessage(result));
      PQclear(result);
      return fail(Code::source_failed, text.empty() ? "The server ended the replication." : text);
    }
    if (size < -1) return wrong();
    if (PQconsumeInput(connection_.get()) == 0) return wrong();
  }
  return std::optional<std::string>{};
}

Result<void> Connection::send_copy(std::string_view bytes) {
  while (true) {
    const int sent = PQputCopyData(connection_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (sent < 0) return wrong();
    if (sent > 0) return flush();
    TRY(flush());
  }
}

std::string Connection::escaped(Escape* escape, std::string_view text) const {
  char* made = escape(connection_.get(), text.data(), text.size());
  if (made == nullptr) return {};  // text that is not of the encoding: the statement is refused
  std::string out(made);
  PQfreemem(made);
  return out;
}

std::string Connection::quoted(std::string_view identifier) const {
  return escaped(PQescapeIdentifier, identifier);
}

std::string Connection::literal(std::string_view text) const { return escaped(PQescapeLiteral, text); }

std::string Connection::quoted_table(std::string_view table) const {
  const auto dot = table.find('.');
  if (dot == std::string_view::npos) return quoted(table);
  return quoted(table.substr(0, dot)) + "." + quoted(table.substr(dot + 1));
}

}  // namespace belfry::ingest::postgres
