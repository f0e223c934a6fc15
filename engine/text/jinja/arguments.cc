#include "engine/text/jinja/arguments.h"

#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"

namespace colonnade::engine::jinja {
namespace {

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> list;
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(' '), names.size());
    list.push_back(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return list;
}

}  // namespace

void fail_argument(std::string_view function, std::string_view argument, std::string_view expected, const Value& found) {
  if (found.is_undefined()) fail(found.as_undefined().message);
  fail(text(function, "(): ", argument, " must be ", expected, ", found ", type_name(found)));
}

Bound::Bound(Context& context, const Signature& signature, Arguments& all) : signature_(signature), all_(all) {
  context.budget.step();
  if (signature.parameters == "*") return;
  const std::vector<std::string_view> names = split_names(signature.parameters);
  if (all.positional.size() > names.size())
    fail(text(signature.name, "() takes at most ", names.size(), " arguments, found ", all.positional.size()));
  values_.resize(names.size());
  for (std::size_t i = 0; i < all.positional.size(); ++i) values_[i] = all.positional[i];
  for (const auto& [name, value] : all.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) fail(text(signature.name, "() has no argument named '", name, "'"));
    auto& slot = values_[static_cast<std::size_t>(found - names.begin())];
    if (slot) fail(text(signature.name, "() got two values for the argument '", name, "'"));
    slot = value;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(signature.required); ++i)
    if (!values_[i]) fail(text(signature.name, "() misses the argument '", names[i], "'"));
}

std::string Bound::name_of(std::size_t i) const { return std::string(split_names(signature_.parameters)[i]); }

const Value* Bound::find_some(std::size_t i) const {
  const Value* value = find(i);
  return value == nullptr || value->is_none() ? nullptr : value;
}

std::int64_t Bound::integer(std::size_t i, std::int64_t otherwise) const {
  const Value* value = find(i);
  if (value == nullptr) return otherwise;
  if (!value->is_integer()) fail_argument(signature_.name, name_of(i), "an integer", *value);
  return value->as_integer();
}

bool Bound::boolean(std::size_t i, bool otherwise) const {
  const Value* value = find(i);
  return value == nullptr ? otherwise : truth(*value);
}

const MarkedText& Bound::string(std::size_t i, const MarkedText* otherwise) const {
  static const MarkedText kEmpty;
  const Value* value = find(i);
  if (value == nullptr) return otherwise != nullptr ? *otherwise : kEmpty;
  if (!value->is_string()) fail_argument(signature_.name, name_of(i), "a string", *value);
  return value->as_text();
}

}  // namespace colonnade::engine::jinja
