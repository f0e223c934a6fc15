#include "coordinator/request_fields.h"

#include <utility>

#include "engine/base/format_text.h"

namespace colonnade::coordinator {

std::optional<std::int32_t> token_of(const Json& value, int vocab_size) {
  if (!value.is_number_integer()) return std::nullopt;
  // A number beyond int64 wraps to a negative one here.
  const auto id = value.get<std::int64_t>();
  if (id < 0 || id >= vocab_size) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

const Json* RequestFields::find(const char* name) const {
  const auto found = body_.find(name);
  return found == body_.end() || found->is_null() ? nullptr : &*found;
}

void RequestFields::fail(const char* param, std::string message, const char* code) {
  if (!error_) error_ = ApiError{.status = 400, .message = std::move(message), .param = param, .code = code};
}

void RequestFields::wrong(const char* param, std::string_view expected, const Json& found) {
  std::string value = found.is_structured() ? text("an ", found.type_name()) : dump_json(found);
  if (value.size() > 60) value = text("a ", found.type_name(), " of ", value.size(), " bytes");
  fail(param, text(param, " must be ", expected, ", found ", value));
}

void RequestFields::read(const char* name, bool& out) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong(name, "true or false", *value);
  out = value->get<bool>();
}

void RequestFields::read(const char* name, std::string& out) {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return wrong(name, "a string", *value);
  out = value->get<std::string>();
}

void RequestFields::read(const char* name, float& out, double min, double max) {
  const Json* value = find(name);
  if (value == nullptr) return;
  const std::string expected = text("a number from ", min, " to ", max);
  if (!value->is_number()) return wrong(name, expected, *value);
  const double number = value->get<double>();
  if (!(number >= min && number <= max)) return wrong(name, expected, *value);
  out = static_cast<float>(number);
}

void RequestFields::read(const char* name, int& out, std::int64_t min, std::int64_t max) {
  std::optional<int> value;
  read(name, value, min, max);
  if (value) out = *value;
}

void RequestFields::read(const char* name, std::optional<int>& out, std::int64_t min, std::int64_t max) {
  const Json* value = find(name);
  if (value == nullptr) return;
  const std::string expected = text("an integer from ", min, " to ", max);
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!value->is_number_integer() || huge) return wrong(name, expected, *value);
  const auto number = value->get<std::int64_t>();
  if (number < min || number > max) return wrong(name, expected, *value);
  out = static_cast<int>(number);
}

}  // namespace colonnade::coordinator
