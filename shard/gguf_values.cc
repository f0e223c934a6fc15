// The values of a GGUF header by kind.
#include <array>

#include "engine/base/format_text.h"
#include "shard/gguf.h"

namespace colonnade::shard {
namespace {

constexpr std::array<std::string_view, 6> kKinds = {"an integer", "a number", "a string",
                                                    "a list of integers", "a list of numbers", "a list of strings"};

Error wrong_kind(std::string_view key, std::string_view expected, const GgufValue& found) {
  return {ErrorCode::kCorrupt, text("GGUF key ", key, " must be ", expected, ", found ", kKinds[found.index()])};
}

template <typename T>
Result<std::optional<T>> single(const GgufHeader& header, std::string_view key, std::string_view expected) {
  const GgufValue* const value = header.find(key);
  if (value == nullptr) return std::optional<T>();
  if (const T* held = std::get_if<T>(value)) return std::optional<T>(*held);
  return wrong_kind(key, expected, *value);
}

template <typename T>
Result<std::vector<T>> list(const GgufHeader& header, std::string_view key, std::string_view expected) {
  const GgufValue* const value = header.find(key);
  if (value == nullptr) return std::vector<T>();
  if (const auto* held = std::get_if<std::vector<T>>(value)) return *held;
  return wrong_kind(key, expected, *value);
}

}  // namespace

const GgufValue* GgufHeader::find(std::string_view key) const {
  const auto found = values.find(key);
  return found == values.end() ? nullptr : &found->second;
}

Result<std::optional<std::int64_t>> GgufHeader::integer(std::string_view key) const {
  return single<std::int64_t>(*this, key, kKinds[0]);
}
Result<std::optional<bool>> GgufHeader::boolean(std::string_view key) const {
  COLONNADE_ASSIGN(const auto value, integer(key));
  return value ? std::optional(*value != 0) : std::nullopt;
}
Result<std::optional<std::string>> GgufHeader::string(std::string_view key) const {
  return single<std::string>(*this, key, kKinds[2]);
}
Result<std::optional<double>> GgufHeader::number(std::string_view key) const {
  if (const GgufValue* const value = find(key); value != nullptr && std::holds_alternative<std::int64_t>(*value)) {
    return std::optional(static_cast<double>(std::get<std::int64_t>(*value)));
  }
  return single<double>(*this, key, kKinds[1]);
}
Result<std::vector<std::string>> GgufHeader::strings(std::string_view key) const {
  return list<std::string>(*this, key, kKinds[5]);
}
Result<std::vector<std::int64_t>> GgufHeader::integers(std::string_view key) const {
  return list<std::int64_t>(*this, key, kKinds[3]);
}
Result<std::vector<double>> GgufHeader::numbers(std::string_view key) const {
  return list<double>(*this, key, kKinds[4]);
}

}  // namespace colonnade::shard
