#pragma once
// The implementations that the contract is asked of.

#include <cstdio>
#include <memory>
#include <string>

#include "../testing/temporary_folder.h"
#include "store/memory_store.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {

// How one implementation is opened, closed and opened again.
struct MemoryShelf {
  MemoryDisk disk;
  std::unique_ptr<Store> open() { return make_memory_store(disk); }
};

struct SqliteShelf {
  testing::TemporaryFolder folder;
  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder.path("belfry.db");
    auto store = open_sqlite_store(options);
    if (!store) std::fprintf(stderr, "%s\n", store.error().text().c_str());
    CHECK(store);
    return std::move(store).value();
  }
};

}  // namespace belfry
