#pragma once
// What keeps a full disk from doing more than refusing publishers. Private to sqlite/.

#include <cstdint>
#include <string>

#include "base/base.h"

namespace belfry::sqlite {

// The wal-index (-shm) is written to after the commit's last frame is in the WAL: where it cannot grow then,
// it is unknown what was stored. So it gets its room before a transaction begins.
//
// Owner and thread: the writer. Closing any descriptor of the file gives up SQLite's locks of this process
// on it, so it stays open, and outlives every connection.
class WalIndexRoom {
 public:
  WalIndexRoom() = default;
  ~WalIndexRoom();
  WalIndexRoom(const WalIndexRoom&) = delete;
  WalIndexRoom& operator=(const WalIndexRoom&) = delete;

  // REQUIRES: SQLite has the database open, and has read from it.
  void open(const std::string& database);
  // For a WAL of so many frames, and a transaction. Code::store_full if there is none. One comparison, as
  // a rule.
  Result<void> ensure(int frames) { return frames < enough_until_ ? Result<void>{} : grow(frames); }

 private:
  Result<void> grow(int frames);

  int file_ = -1;
  int enough_until_ = 0;  // frames
};

// How many frames a WAL has at most, by the size of its file.
int frames_of(const std::string& wal);

// A file that holds a little room for a start on a full disk: `<database>.reserve`. Never fails anything.
class Reserve {
 public:
  explicit Reserve(std::string database) : path_(std::move(database) + ".reserve") {}

  // True if it gave up some room.
  bool give_up();
  bool given_up() const { return given_up_; }
  // Holds a part of what is free now, if it does not yet.
  void hold();
  // After the start: holds what is left of the room that it gave up, before publishers have it.
  void hold_rest();

 private:
  void hold(std::uint64_t wanted);

  const std::string path_;
  bool given_up_ = false;
};

}  // namespace belfry::sqlite
