#pragma once
// A data folder in the hands of a person: backup, restore, check.

#include <string>
#include <vector>

#include "base/base.h"
#include "store/sqlite/sqlite_store.h"

namespace belfry {

// A copy of the folder's database as one file, while a server may be running.
Result<void> backup_data(const std::string& data_dir, const std::string& to);
// Puts a backup in place. The database that is there is kept beside it, as belfry.db.before-<n>; its name
// is returned, empty if there was none. No server may have the folder open.
Result<std::string> restore_data(const std::string& from, const std::string& data_dir);
Result<DatabaseGrowth> growth_of_data(const std::string& data_dir);
Result<std::vector<std::string>> check_data(const std::string& data_dir, DatabaseSummary& summary);

}  // namespace belfry
