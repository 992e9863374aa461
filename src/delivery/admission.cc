#include "delivery/admission.h"

#include <algorithm>
#include <functional>

namespace belfry {
namespace {

constexpr double kLeave = 0.05;    // a level is left this much lower than it was entered
constexpr Duration kLagSlow{100};  // the bucket is slowed down
constexpr Duration kLagMax{250};   // pressure 1
constexpr double kShareMin = 0.05;

struct Level {
  std::string_view name;
  double from;
};
constexpr Level kLevels[] = {{"normal", 0}, {"shedding", 0.80}, {"refusing", 0.90}, {"critical", 0.95}};

const Level& level_of(Load load) { return kLevels[static_cast<std::size_t>(load)]; }

}  // namespace

std::string_view name_of(Load load) { return level_of(load).name; }

Seat::~Seat() {
  if (admission_ != nullptr) admission_->give_back(places_);
}

void Admission::give_back(SeatPlaces places) {
  const std::lock_guard lock(mutex_);
  users_.give_back(places.user);
  addresses_.give_back(places.address);
}

double Admission::rate() const { return static_cast<double>(limits_.streams_per_second) * share_; }

Result<void> Admission::knock(Wanted wanted, Instant now) {
  const Load level = load();
  const bool shed = level >= Load::refusing || (level >= Load::shedding && wanted == Wanted::stream);
  if (!shed && wanted == Wanted::poll) return {};
  const std::lock_guard lock(mutex_);
  if (shed) {
    ++counts_.by_load;
    return with_retry(fail(Code::overloaded));
  }
  const double seconds = static_cast<double>((now - filled_).count()) / 1000;
  tokens_ = std::min(rate(), tokens_ + seconds * rate());
  filled_ = now;
  if (tokens_ < 1) {
    ++counts_.by_rate;
    return with_retry(fail(Code::overloaded));
  }
  tokens_ -= 1;
  return {};
}

Result<Seat> Admission::take_seat(std::string_view user, std::string_view address) {
  const std::lock_guard lock(mutex_);
  const auto of_user = users_.take(user, limits_.streams_per_user);
  if (!of_user) {
    ++counts_.by_user;
    return with_retry(fail(Code::too_many_streams, "This user has too many streams open."));
  }
  const auto of_address = addresses_.take(address, limits_.streams_per_address);
  if (!of_address) {
    users_.give_back(*of_user);
    ++counts_.by_address;
    return with_retry(fail(Code::too_many_streams, "This address has too many streams open."));
  }
  Seat seat;
  seat.admission_ = this;
  seat.places_ = {*of_user, *of_address};
  return seat;
}

bool Admission::look(double fullness, Duration lag) {
  lags_[looks_++ % lags_.size()] = lag;
  auto worst = lags_;
  const auto half = worst.begin() + worst.size() / 2 - 1;
  std::nth_element(worst.begin(), half, worst.end(), std::greater<>{});
  const auto lasting = static_cast<double>(half->count());
  pressure_ = std::max(fullness, lasting / static_cast<double>(kLagMax.count()));
  {
    // Additive increase, multiplicative decrease: +5 % a second, × 0.7 when the loops are late.
    const std::lock_guard lock(mutex_);
    share_ = lag > kLagSlow ? std::max(kShareMin, share_ * 0.7) : std::min(1.0, share_ + 0.05 / 4);
    rate_ = static_cast<std::uint64_t>(std::max(1.0, rate()));
  }
  Load level = load();
  const Load before = level;
  while (level != Load::critical) {
    const Load next = static_cast<Load>(static_cast<int>(level) + 1);
    if (pressure_ < level_of(next).from) break;
    level = next;
  }
  while (level != Load::normal && pressure_ < level_of(level).from - kLeave)
    level = static_cast<Load>(static_cast<int>(level) - 1);
  load_ = level;
  return level != before;
}

void Admission::set_limits(AdmissionLimits limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

std::uint32_t Admission::retry_ms() const {
  const std::uint64_t needed = expected_ * 1000 / rate_;
  const auto most = std::clamp<std::uint64_t>(needed, static_cast<std::uint64_t>(limits::retry_max.count()),
                                              static_cast<std::uint64_t>(limits::retry_far.count()));
  const auto least = static_cast<std::uint64_t>(limits::retry_min.count());
  return static_cast<std::uint32_t>(least + random_u64() % (most - least));
}

Error Admission::with_retry(Error error) const {
  error.retry_ms = retry_ms();
  return error;
}

AdmissionCounts Admission::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace belfry
