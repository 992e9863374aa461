#pragma once
// The switch of a build with mutants: MUTANT names the one that is on, by its number. The names do not begin
// with BELFRY_, because a server refuses variables of that kind that it does not know.
//
// Which mutants a process reaches is noted in the file that MUTANTS_REACHED names, a byte each. It
// is shared memory: what was noted is there, whatever ends the process.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

namespace belfry::mutant {

constexpr int kMutantsMax = 4096;

struct Switch {
  int chosen = 0;
  unsigned char* reached = nullptr;

  Switch() {
    static unsigned char nowhere[kMutantsMax];
    reached = nowhere;
    if (const char* number = std::getenv("MUTANT")) chosen = std::atoi(number);
    const char* path = std::getenv("MUTANTS_REACHED");
    const int file = path != nullptr ? ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (file < 0) return;
    if (::ftruncate(file, kMutantsMax) == 0) {
      void* at = ::mmap(nullptr, kMutantsMax, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (at != MAP_FAILED) reached = static_cast<unsigned char*>(at);
    }
    ::close(file);
  }
};

inline Switch the_switch;

inline bool on(int number) {
  unsigned char* note = the_switch.reached + number;
  if (__atomic_load_n(note, __ATOMIC_RELAXED) == 0) __atomic_store_n(note, 1, __ATOMIC_RELAXED);
  return number == the_switch.chosen;
}

}  // namespace belfry::mutant
