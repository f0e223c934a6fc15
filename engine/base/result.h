// Result<T>: a value, or an error with a closed code and a message that names the thing, the expected and the
// found value. For everything that can happen outside our control; a bug of ours is COLONNADE_CHECK (check.h).
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "engine/base/check.h"

namespace colonnade {

enum class ErrorCode {
  kInvalidArgument,   // a flag, request field or configuration value is wrong
  kNotFound,          // a file, tensor, sequence or route that does not exist
  kCorrupt,           // bytes that disagree with their own description or checksum
  kUnsupported,       // valid, but nothing here implements it
  kExhausted,         // memory, pages, slots or a size limit
  kUnavailable,       // a peer is gone or not ready yet
  kTimeout,           // a deadline passed
  kCancelled,         // the caller withdrew
  kUnauthenticated,   // a key or secret is missing or wrong
  kIo,                // the operating system refused
};

/// "invalid argument", "not found", …: for log lines.
const char* error_code_name(ErrorCode code);

struct Error {
  ErrorCode code;
  std::string message;
};

/// Thread-compatible, like a value.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    COLONNADE_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  const T& value() const& {
    COLONNADE_CHECK(ok(), error().message);
    return std::get<0>(state_);
  }
  T&& value() && {
    COLONNADE_CHECK(ok(), error().message);
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Success or an error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const { return error_; }

 private:
  Error error_{ErrorCode::kInvalidArgument, {}};
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace colonnade

#define COLONNADE_CONCAT_INNER(a, b) a##b
#define COLONNADE_CONCAT(a, b) COLONNADE_CONCAT_INNER(a, b)

/// Returns the error of `expression` (a Status or Result) from the enclosing function.
#define COLONNADE_TRY(expression)                                          \
  do {                                                                     \
    if (auto colonnade_status = (expression); !colonnade_status.ok())      \
      return ::colonnade::Error(std::move(colonnade_status.error()));      \
  } while (false)

/// `COLONNADE_ASSIGN(auto x, f())`: assigns the value of f(), or returns its error from the enclosing function.
#define COLONNADE_ASSIGN(declaration, expression) \
  COLONNADE_ASSIGN_INNER(COLONNADE_CONCAT(colonnade_result_, __LINE__), declaration, expression)
#define COLONNADE_ASSIGN_INNER(result, declaration, expression)  \
  auto result = (expression);                                    \
  if (!result.ok()) return ::colonnade::Error(result.error());   \
  declaration = std::move(result).value()
