#include "server/data_files.h"

#include <filesystem>

#include "server/data_dir.h"

namespace belfry {

Result<void> backup_data(const std::string& data_dir, const std::string& to) {
  return backup_database(database_path(data_dir), to);
}

Result<std::string> restore_data(const std::string& from, const std::string& data_dir) {
  DatabaseSummary summary;
  const auto problems = TRY(check_database(from, summary));
  if (!problems.empty()) return fail(Code::store_failed, from + " is not whole: " + problems.front());
  TRY(make_data_dir(data_dir));
  const std::string path = database_path(data_dir);
  TRY(check_unused(path));
  std::error_code failed;
  std::string kept;
  if (std::filesystem::exists(path, failed)) {
    for (int n = 1; kept.empty() || std::filesystem::exists(kept, failed); ++n)
      kept = path + ".before-" + std::to_string(n);
    // What is not yet in the main file goes with it.
    for (const char* part : {"", "-wal", "-shm"})
      if (std::filesystem::exists(path + part, failed))
        std::filesystem::rename(path + part, kept + part, failed);
    if (failed) return fail(Code::store_failed, "Cannot move " + path + ": " + failed.message());
  }
  // The copy is made whole beside its place before it takes it.
  const std::string beside = path + ".restoring";
  std::filesystem::remove(beside, failed);
  TRY(backup_database(from, beside));
  std::filesystem::rename(beside, path, failed);
  if (failed) return fail(Code::store_failed, "Cannot write " + path + ": " + failed.message());
  return kept;
}

Result<std::vector<std::string>> check_data(const std::string& data_dir, DatabaseSummary& summary) {
  return check_database(database_path(data_dir), summary);
}

}  // namespace belfry
