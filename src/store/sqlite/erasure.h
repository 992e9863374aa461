#pragma once
// What a user may have very much of goes in slices. Private to sqlite/.
//
// Owner: ChangeWriter. Thread: the log-writer; every call inside a transaction.
// Bound: `rows_max` rows and kBytesTaken of events a call.

#include "store/sqlite/event_writer.h"
#include "store/store.h"

namespace belfry::sqlite {

class Erasure {
 public:
  explicit Erasure(EventWriter& events) : events_(events) {}
  Result<void> prepare(Database& database);

  // As Store::erase_some.
  // REQUIRES: the index is complete.
  Result<Erased> take(const EraseUser& erasure, std::size_t rows_max);

 private:
  struct Found {
    std::vector<Offset> offsets;
    bool all = false;
  };
  Result<Found> find_events(const std::string& topic, Offset after, std::size_t rows_max);

  EventWriter& events_;
  Statement select_events_, forget_scheduled_, forget_keys_;
};

}  // namespace belfry::sqlite
