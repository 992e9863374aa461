#pragma once
// Small files that are there whole or not at all, and readable for their owner only from the first byte: for
// who owns what has the name, or its folder, not for whoever runs a command there.
// Written beside their place, flushed, and then given the name; a folder is flushed, too.
//
// A full disk is Code::store_full, anything else Code::config_invalid, both with the file and the reason.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belfry {

// The name must be free.
Result<void> write_new_file(const std::string& place, std::string_view text);
// What has the name is replaced.
Result<void> replace_file(const std::string& place, std::string_view text);

// A name that was given or taken is so after a power cut, too.
Result<void> flush_folder_of(const std::string& path);
// What went wrong with a file: the reason is errno's.
Error file_error(std::string_view what, const std::string& path);

// A file in the making. It goes away with this object unless it took its place; what a process left behind
// that was killed goes when the next one makes something for the same place. Two for the same place do not
// meet: each has a name of its own, and whoever is first gets the place.
class FileInMaking {
 public:
  // of_place: who owns what it replaces, else its folder, owns it, also if root makes it. Others than root
  // can give no file away: theirs is an error where it would replace one of somebody else.
  enum class Owner { of_place, caller };
  static Result<std::unique_ptr<FileInMaking>> beside(const std::string& place,
                                                      Owner owner = Owner::of_place);
  ~FileInMaking();
  FileInMaking(const FileInMaking&) = delete;
  FileInMaking& operator=(const FileInMaking&) = delete;

  const std::string& path() const { return path_; }
  // It has its name, also if that could not be flushed.
  bool placed() const { return placed_; }
  Result<void> write(std::string_view text);
  // Flushes it, and gives it the name.
  Result<void> take_place();
  // The same, and fails if there is such a file.
  Result<void> take_free_place();

 private:
  FileInMaking(std::string place, std::string path, int file)
      : place_(std::move(place)), path_(std::move(path)), file_(file) {}

  const std::string place_;
  const std::string path_;
  const int file_;  // locked: it is alive
  bool placed_ = false;
};

// One process at a time changes the files of a folder that are read, changed and written again. Needs no
// file of its own, and so no room. Waits for the other one; goes with the object, or the process.
class FolderLock {
 public:
  static Result<std::unique_ptr<FolderLock>> take(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int folder) : folder_(folder) {}
  const int folder_;
};

}  // namespace belfry
