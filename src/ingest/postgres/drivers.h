#pragma once
// The three ways to read a PostgreSQL. Each runs until its source is to stop, or fails. Private to
// postgres/.
//
// Thread: the source's.

#include "ingest/module.h"
#include "ingest/source.h"

namespace belfry::ingest::postgres {

// Rows that belfry.publish() wrote; see install.cc for the tables.
Result<void> run_outbox(SourceContext& context);
// New rows of a table that only grows.
Result<void> run_table(SourceContext& context);
// Logical replication.
Result<void> run_changes(SourceContext& context);

// The SQL of the outbox, for a schema of that name.
std::string outbox_sql(const std::string& schema);
Result<std::string> install(const InstallRequest& request);

}  // namespace belfry::ingest::postgres
