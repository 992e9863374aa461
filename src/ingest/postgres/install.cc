// The part of the outbox that lives in the application's database.

#include "ingest/postgres/connection.h"
#include "ingest/postgres/drivers.h"

namespace belfry::ingest::postgres {
namespace {

// A row is new while `batch` is null. A batch is what Belfry took over together; batches are numbered
// without gaps, so that a Belfry that was restored from a backup, or a database that was, is noticed.
constexpr std::string_view kSql = R"sql(CREATE SCHEMA IF NOT EXISTS @;

CREATE TABLE IF NOT EXISTS @.outbox(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  type text NOT NULL,
  data jsonb,
  notification jsonb,
  key text,
  expires timestamptz,
  keys jsonb,
  spread_ms integer,
  version text,
  published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  batch bigint,
  relayed_at timestamptz);
CREATE INDEX IF NOT EXISTS outbox_new ON @.outbox(id) WHERE batch IS NULL;
CREATE INDEX IF NOT EXISTS outbox_batch ON @.outbox(batch) WHERE batch IS NOT NULL;

CREATE TABLE IF NOT EXISTS @.relay(
  installation uuid NOT NULL DEFAULT gen_random_uuid(),
  batch bigint NOT NULL DEFAULT 0);
INSERT INTO @.relay SELECT WHERE NOT EXISTS (SELECT 1 FROM @.relay);

-- Publishes with the transaction that calls it: at its commit, or not at all.
CREATE OR REPLACE FUNCTION @.publish(
  topic text, type text DEFAULT 'message', data jsonb DEFAULT NULL, notification jsonb DEFAULT NULL,
  key text DEFAULT NULL, expires timestamptz DEFAULT NULL, keys jsonb DEFAULT NULL,
  spread_ms integer DEFAULT NULL, version text DEFAULT NULL)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_notify('@', '');
  INSERT INTO @.outbox(topic, type, data, notification, key, expires, keys, spread_ms, version)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id
$$;

-- What clients hold is stale: they ask the application again.
CREATE OR REPLACE FUNCTION @.refresh(
  topic text, keys jsonb, spread_ms integer DEFAULT NULL, version text DEFAULT NULL)
RETURNS bigint LANGUAGE sql AS $$
  SELECT @.publish(topic => $1, type => 'refresh', keys => $2, spread_ms => $3, version => $4)
$$;

-- Who may publish is said by grants: GRANT USAGE ON SCHEMA @ TO app; GRANT EXECUTE ON ALL FUNCTIONS IN
-- SCHEMA @ TO app;
REVOKE ALL ON FUNCTION @.publish FROM PUBLIC;
)sql";

}  // namespace

std::string outbox_sql(const std::string& schema) {
  std::string out;
  for (const char c : kSql) out += c == '@' ? schema : std::string(1, c);
  return out;
}

Result<std::string> install(const InstallRequest& request) {
  const std::string& schema = request.schema;
  if (schema.empty() || schema.size() > 63 ||
      schema.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos ||
      (schema[0] >= '0' && schema[0] <= '9'))
    return fail(Code::config_invalid, "A schema's name is made of small letters, digits and _.", "schema");
  std::string sql = outbox_sql(schema);
  if (request.print_only) return sql;
  auto connection = TRY(Connection::open({request.url, {}, "belfry-install", false}, nullptr));
  TRY(connection.execute("BEGIN;\n" + sql + "COMMIT"));
  return sql;
}

}  // namespace belfry::ingest::postgres
