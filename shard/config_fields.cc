#include "shard/config_fields.h"

#include <cmath>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

/// A value as it may stand in a message: short.
std::string shown(const Json& value) {
  std::string out = dump_json(value);
  if (out.size() > 60) out = out.substr(0, 57) + "...";
  return out;
}

}  // namespace

const Json* ConfigFields::find(const char* name) const {
  const auto at = object_->find(name);
  return at == object_->end() || at->is_null() ? nullptr : &*at;
}

bool ConfigFields::is_null(const char* name) const {
  const auto at = object_->find(name);
  return at != object_->end() && at->is_null();
}

bool ConfigFields::has(const char* name) const { return find(name) != nullptr; }

Error ConfigFields::invalid(const char* name, const std::string& expected) const {
  const Json* value = find(name);
  return {ErrorCode::kInvalidArgument, text(where_, ": field ", name, ": expected ", expected, ", found ",
                                            value == nullptr ? "nothing" : shown(*value))};
}

Result<int> ConfigFields::integer(const char* name, std::optional<int> fallback, int least, int limit) const {
  const Json* value = find(name);
  if (value == nullptr && fallback) return *fallback;
  const bool fits = value != nullptr && value->is_number_unsigned() &&
                    value->get<std::uint64_t>() >= static_cast<std::uint64_t>(least) &&
                    value->get<std::uint64_t>() <= static_cast<std::uint64_t>(limit);
  if (!fits) return invalid(name, text("an integer from ", least, " to ", limit));
  return value->get<int>();
}

Result<int> ConfigFields::positive(const char* name, std::optional<int> fallback, int limit) const {
  return integer(name, fallback, 1, limit);
}

Result<int> ConfigFields::count(const char* name, std::optional<int> fallback, int limit) const {
  return integer(name, fallback, 0, limit);
}

Result<float> ConfigFields::number(const char* name, std::optional<float> fallback) const {
  const Json* value = find(name);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || !value->is_number()) return invalid(name, "a number above 0");
  const float result = static_cast<float>(value->get<double>());
  if (!std::isfinite(result) || result <= 0.0f) return invalid(name, "a number above 0");
  return result;
}

Result<bool> ConfigFields::flag(const char* name, bool fallback) const {
  const Json* value = find(name);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return invalid(name, "true or false");
  return value->get<bool>();
}

Result<std::string> ConfigFields::string(const char* name, const char* fallback) const {
  const Json* value = find(name);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) return invalid(name, "a string");
  return value->get<std::string>();
}

}  // namespace colonnade::shard
