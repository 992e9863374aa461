#pragma once
// What PostgreSQL's logical replication says: the messages of its plug-in pgoutput, protocol version 1
// (PostgreSQL documentation, "Logical Replication Message Formats"), and columns as JSON.
//
// Bytes come from a server, but lengths are not believed: what does not fit is an error.
// Owner: a driver. Thread: its own. Bound: limits::source_relations_max tables are remembered.

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/base.h"

namespace belfry::ingest {

using Lsn = std::uint64_t;        // a place in the write-ahead log
std::string format_lsn(Lsn lsn);  // "16/B374D848"
std::optional<Lsn> parse_lsn(std::string_view text);

// As PostgreSQL writes it as text: whole numbers, floats and booleans become JSON's; json and jsonb what
// they hold; everything else, numeric too (a double would round it), a string.
boost::json::value column_value(std::uint32_t type, std::string_view text);

struct PgBegin {
  Lsn commit = 0;
  Timestamp time;
  std::uint32_t xid = 0;
};
struct PgCommit {
  Lsn commit = 0;
  Lsn end = 0;  // after it the next transaction begins
};
struct PgChange {
  std::string_view operation;  // insert, update, delete
  std::string schema, table;
  std::string id;                                    // of the replica identity's columns, with commas
  std::optional<boost::json::object> before, after;  // before: what the replica identity tells
};
struct PgTruncate {
  std::vector<std::pair<std::string, std::string>> tables;  // schema and name
};
struct PgMessage {  // of pg_logical_emit_message
  bool transactional = false;
  Lsn lsn = 0;
  std::string prefix, content;
};
using PgItem = std::variant<std::monostate, PgBegin, PgCommit, PgChange, PgTruncate, PgMessage>;

class PgOutput {
 public:
  // One message. monostate: nothing to tell (a relation, a type, an origin). Code::source_failed: it is
  // malformed.
  Result<PgItem> decode(std::string_view bytes);

 private:
  class Reader;
  struct Column {
    std::string name;
    std::uint32_t type = 0;
    bool key = false;
  };
  struct Relation {
    std::string schema, table;
    char identity = 'd';
    std::vector<Column> columns;
  };
  Result<PgItem> relation(Reader& reader);
  Result<PgItem> change(Reader& reader, char kind);
  Result<PgItem> truncation(Reader& reader);
  Result<boost::json::object> tuple(Reader& reader, const Relation& relation, bool only_key) const;
  static std::string id_of(const Relation& relation, const boost::json::object& row);

  std::map<std::uint32_t, Relation> relations_;
};

}  // namespace belfry::ingest
