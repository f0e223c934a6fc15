// Fields of a JSON request, checked one after another; the first mistake is kept and later calls do nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api_error.h"
#include "engine/base/json.h"

namespace colonnade::coordinator {

/// A token id from 0 to vocab_size - 1, or nothing.
std::optional<std::int32_t> token_of(const Json& value, int vocab_size);

class RequestFields {
 public:
  explicit RequestFields(const Json& body) : body_(body) {}

  /// The field, or nullptr when it is absent or null: both mean "not given".
  const Json* find(const char* name) const;

  // Each leaves `out` alone when the field is not given.
  void read(const char* name, bool& out);
  void read(const char* name, std::string& out);
  void read(const char* name, float& out, double min, double max);
  void read(const char* name, int& out, std::int64_t min, std::int64_t max);
  void read(const char* name, std::optional<int>& out, std::int64_t min, std::int64_t max);

  void fail(const char* param, std::string message, const char* code = "");
  /// "<param> must be <expected>, found <value>".
  void wrong(const char* param, std::string_view expected, const Json& found);

  bool ok() const { return !error_; }
  const ApiError& error() const { return *error_; }

 private:
  const Json& body_;
  std::optional<ApiError> error_;
};

}  // namespace colonnade::coordinator
