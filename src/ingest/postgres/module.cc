#include "ingest/postgres/drivers.h"

namespace belfry::ingest::postgres {
namespace {

Result<void> run(SourceContext& context) {
  const std::string& kind = context.config().kind;
  if (kind == "postgres-outbox") return run_outbox(context);
  if (kind == "postgres-table") return run_table(context);
  return run_changes(context);
}

}  // namespace
}  // namespace belfry::ingest::postgres

const belfry::ingest::SourceModule* belfry_source_module() {
  static const belfry::ingest::SourceModule module{belfry::ingest::module_interface, BELFRY_VERSION,
                                                   belfry::ingest::postgres::run,
                                                   belfry::ingest::postgres::install};
  return &module;
}
