#include "server/data_files.h"

#include <filesystem>

#include "server/data_dir.h"

namespace belfry {

namespace {

// Files that get another name, together. They get their own back unless they are to keep it.
class Renamed {
 public:
  ~Renamed() {
    std::error_code failed;
    if (!kept_)
      for (auto pair = done_.rbegin(); pair != done_.rend(); ++pair)
        std::filesystem::rename(pair->second, pair->first, failed);
  }
  Result<void> rename(const std::string& from, const std::string& to) {
    std::error_code failed;
    if (!std::filesystem::exists(from, failed)) return {};
    std::filesystem::rename(from, to, failed);
    if (failed) return fail(Code::store_failed, "Cannot move " + from + ": " + failed.message());
    done_.emplace_back(from, to);
    return {};
  }
  void keep() { kept_ = true; }

 private:
  std::vector<std::pair<std::string, std::string>> done_;
  bool kept_ = false;
};

std::string free_name_beside(const std::string& path) {
  std::error_code failed;
  std::string name;
  for (int n = 1; name.empty() || std::filesystem::exists(name, failed); ++n)
    name = path + ".before-" + std::to_string(n);
  return name;
}

// The main file holds everything: it keeps its name until the other one has it.
Result<void> take_place_of(const std::string& path, const std::string& kept, FileInMaking& file) {
  std::error_code failed;
  std::filesystem::create_hard_link(path, kept, failed);
  if (failed) return fail(Code::store_failed, "Cannot keep " + path + ": " + failed.message());
  auto done = file.take_place();
  if (!done && !file.placed()) std::filesystem::remove(kept, failed);
  return done;
}

// For a main file that cannot be folded, or a file system without second names.
Result<void> move_and_take_place(const std::string& path, const std::string& kept, FileInMaking& file) {
  Renamed moved;
  // What is not yet in the main file goes with it.
  for (const char* part : {"-shm", "-wal", ""}) TRY(moved.rename(path + part, kept + part));
  TRY(file.take_free_place());
  moved.keep();
  return {};
}

}  // namespace

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
  // The copy is whole before anything is touched.
  const auto file = TRY(copy_database(from, path, FileInMaking::Owner::of_place));
  std::error_code failed;
  const std::string kept = std::filesystem::exists(path, failed) ? free_name_beside(path) : "";
  TRY(check_unused(path));  // none was started meanwhile
  if (kept.empty()) {
    TRY(file->take_free_place());
    return kept;
  }
  // Of a broken one there may be none to be had.
  auto revoked = keep_revocations(path, file->path());
  if (!revoked && revoked.error().code == Code::store_full) return std::move(revoked).error();
  if (!revoked)
    log_warn("the revocations of the database that is replaced are not kept",
             {{"error", revoked.error().text()}});
  const bool folded = static_cast<bool>(fold_wal(path)) && !std::filesystem::exists(path + "-wal", failed);
  if (folded) {
    auto placed = take_place_of(path, kept, *file);
    if (placed) return kept;
    if (file->placed()) return std::move(placed).error();
  }
  TRY(move_and_take_place(path, kept, *file));
  return kept;
}

Result<DatabaseGrowth> growth_of_data(const std::string& data_dir) {
  return growth_of(database_path(data_dir));
}

Result<std::vector<std::string>> check_data(const std::string& data_dir, DatabaseSummary& summary) {
  return check_database(database_path(data_dir), summary);
}

}  // namespace belfry
