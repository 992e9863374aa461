#pragma once
// How things fail here: an operation that can fail returns Result<T>; a bug stops the process
// (base/check.h).
//
// Shaped like std::expected so that it can become it: libstdc++ 12 has <expected> only with -std=c++23.

#include <utility>
#include <variant>

#include "base/error.h"

namespace belfry {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  explicit operator bool() const { return !failed_; }
  void value() const {}
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_{};
  bool failed_ = false;
};

// Makes an Error in one expression: return fail(Code::bad_topic, "…", "topic").
inline Error fail(Code code, std::string detail = {}, std::string field = {}) {
  return Error{code, std::move(detail), std::move(field)};
}

}  // namespace belfry

// The value of a Result, or return its error from the enclosing function.
#define TRY(expression)                                      \
  __extension__({                                            \
    auto try_result_ = (expression);                         \
    if (!try_result_) return std::move(try_result_).error(); \
    std::move(try_result_).value();                          \
  })
