#pragma once
// Who is let in when it is crowded. One bucket for new streams, caps for each user and each address, and
// one figure of pressure; what is least needed goes first (the order: commits, live streams, resumes, new
// streams, pages of history). Whoever is turned away is told when to come back, each at another moment.
//
// Owner:  server. Thread: any; one lock, taken once a stream, never once a delivery.
// Bound:  an entry for each user and address that has a stream.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/base.h"

namespace belfry {

// By pressure, the fullest of memory, loops and store: from 0.8, 0.9 and 0.95 on. A level is left 0.05
// lower.
enum class Load : std::uint8_t {
  normal,
  shedding,  // new streams and ephemeral events are refused; resumes go on
  refusing,  // resumes and pages are refused too
  critical,  // streams whose client takes nothing are ended; connections trickle in; only backends publish
};
std::string_view name_of(Load load);

struct AdmissionLimits {
  std::uint64_t streams_per_second = 5'000;
  std::uint64_t streams_per_user = 100;
  std::uint64_t streams_per_address = 1'000;
};

class Admission;

// The places of one stream: of its user and of its address.
struct SeatPlaces {
  std::uint32_t user = 0, address = 0;
};

// Gives them back when it goes, unless they were released to whoever will.
class Seat {
 public:
  Seat() = default;
  Seat(Seat&& other) noexcept { *this = std::move(other); }
  Seat& operator=(Seat&& other) noexcept {
    std::swap(admission_, other.admission_);
    std::swap(places_, other.places_);
    return *this;
  }
  ~Seat();
  SeatPlaces release() {
    admission_ = nullptr;
    return places_;
  }

 private:
  friend class Admission;
  Admission* admission_ = nullptr;
  SeatPlaces places_;
};

struct AdmissionCounts {
  std::uint64_t by_rate = 0, by_user = 0, by_address = 0, by_load = 0;  // refused
};

class Admission {
 public:
  explicit Admission(AdmissionLimits limits)
      : limits_(limits), tokens_(static_cast<double>(limits.streams_per_second)) {}

  // What is asked for. A resume is a stream with a cursor.
  enum class Wanted { stream, resume, poll };
  // Before anything is spent on the request: the load, and for streams the bucket. Code::overloaded, with
  // the time after which to come back.
  Result<void> knock(Wanted wanted, Instant now);
  // Once it is known who it is; empty: not counted. Code::too_many_streams beyond a cap.
  Result<Seat> take_seat(std::string_view user, std::string_view address);

  // What was released.
  void give_back(SeatPlaces places);

  // Every part of the server that sheds load asks this.
  Load load() const { return load_.load(std::memory_order_relaxed); }
  // `fullness` of memory and store from 0 to 1; `lag`: how late the slowest loop was since the last look.
  // Called four times a second by one thread. Every late look slows the bucket down; the level heeds what
  // half of the last eight looks have at least, for a few late turns are no load. True if the level has
  // changed.
  bool look(double fullness, Duration lag);
  // The figure that the level was chosen by; the thread of look().
  double pressure() const { return pressure_; }
  void set_limits(AdmissionLimits limits);
  // How many clients may come back at once: they are spread over the time in which that many can be let in.
  void expect(std::uint64_t clients) { expected_ = clients; }

  // A random time to come back: between half a second and long enough for all that are expected.
  std::uint32_t retry_ms() const;
  Error with_retry(Error error) const;
  AdmissionCounts counts() const;

 private:
  double rate() const;

  mutable std::mutex mutex_;
  AdmissionLimits limits_;
  double share_ = 1.0;  // of streams_per_second, as the loops can bear
  double tokens_;
  Instant filled_;
  CountTable users_, addresses_;
  AdmissionCounts counts_;
  std::array<Duration, 8> lags_{};  // of the last looks
  std::size_t looks_ = 0;
  double pressure_ = 0;
  std::atomic<Load> load_{Load::normal};
  std::atomic<std::uint64_t> expected_{0};
  std::atomic<std::uint64_t> rate_{5'000};  // for retry_ms, which takes no lock
};

}  // namespace belfry
