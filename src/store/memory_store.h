#pragma once
// A store without a disk: for tests, and for the simulator, which crashes it. Same contract as SQLite's.

#include <memory>

#include "store/store.h"

namespace belfry {

std::unique_ptr<Store> make_memory_store();

}  // namespace belfry
