// Typed access to the fields of a config.json: null counts as absent, as in Hugging Face's own reader; a wrong type or
// an impossible value is an error that names the field, the expected and the found value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::shard {

/// Does not own the JSON. Read-only, so thread-safe.
class ConfigFields {
 public:
  /// `where` names the object in messages: "DIR/config.json", "DIR/config.json: rope_scaling".
  ConfigFields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {}

  bool has(const char* name) const;
  const Json* find(const char* name) const;  // nullptr when absent or null
  bool is_null(const char* name) const;      // present and null
  const std::string& where() const { return where_; }
  const Json& object() const { return *object_; }

  /// Without `fallback` the field is required. Integers are checked to be within [1, limit] ([0, limit] for
  /// count()).
  Result<int> positive(const char* name, std::optional<int> fallback = {}, int limit = kMaxDimension) const;
  Result<int> count(const char* name, std::optional<int> fallback = {}, int limit = kMaxDimension) const;
  Result<float> number(const char* name, std::optional<float> fallback = {}) const;  // finite and > 0
  Result<bool> flag(const char* name, bool fallback) const;
  Result<std::string> string(const char* name, const char* fallback) const;

  Error invalid(const char* name, const std::string& expected) const;

  /// Far above every real model, and small enough that products of four fit 64 bits.
  static constexpr int kMaxDimension = 1 << 24;

 private:
  Result<int> integer(const char* name, std::optional<int> fallback, int least, int limit) const;

  const Json* object_;
  std::string where_;
};

}  // namespace colonnade::shard
