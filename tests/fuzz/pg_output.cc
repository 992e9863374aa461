// Logical replication of PostgreSQL: a connection's messages, one after the other.
#include <boost/json/serialize.hpp>

#include "fuzz.h"
#include "ingest/ingest.h"
#include "ingest/pg_output.h"

using namespace belfry;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  ingest::PgOutput output;
  std::string_view rest = input.rest();
  while (!rest.empty()) {
    const std::size_t length = std::min<std::size_t>(static_cast<unsigned char>(rest[0]), rest.size() - 1);
    const auto item = output.decode(rest.substr(1, length));
    rest.remove_prefix(1 + length);
    if (!item) continue;
    if (const auto* change = std::get_if<ingest::PgChange>(&item.value())) {
      CHECK(change->before || change->after);
      if (change->after) CHECK(is_utf8(boost::json::serialize(*change->after)));
    }
  }
  if (const auto lsn = ingest::parse_lsn(input.rest()))
    CHECK(ingest::parse_lsn(ingest::format_lsn(*lsn)) == lsn);
  return 0;
}
