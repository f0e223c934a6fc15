// The getters of Options. Values were checked when they came in, so a failure here is a bug.
#include "engine/base/format_text.h"
#include "engine/base/options.h"
#include "engine/base/options_value.h"
#include "engine/base/units.h"

namespace colonnade {

const Options::Value& Options::get(std::string_view name) const {
  const auto found = values_.find(name);
  COLONNADE_CHECK(found != values_.end(), colonnade::text("no option is called ", name));
  return found->second;
}

const std::string& Options::get(std::string_view name, OptionKind kind) const {
  const Value& value = get(name);
  COLONNADE_CHECK(value.kind == kind, colonnade::text("option ", name, " is of another kind"));
  return value.text;
}

bool Options::is_set(std::string_view name) const { return get(name).set; }
OptionSource Options::source(std::string_view name) const { return get(name).source; }
bool Options::flag(std::string_view name) const { return get(name, OptionKind::kFlag) == "true"; }
std::string Options::text(std::string_view name) const { return get(name).text; }
std::string Options::positional(std::string_view name) const { return get(name, OptionKind::kText); }

std::int64_t Options::integer(std::string_view name) const {
  const std::string& value = get(name, OptionKind::kInt);
  return value.empty() ? 0 : parse_integer(value).value();
}

double Options::number(std::string_view name) const {
  const std::string& value = get(name, OptionKind::kNumber);
  return value.empty() ? 0 : parse_number(value).value();
}

std::uint64_t Options::bytes(std::string_view name) const {
  const std::string& value = get(name, OptionKind::kBytes);
  return value.empty() ? 0 : parse_bytes(value).value();
}

std::vector<std::string> Options::list(std::string_view name) const {
  const Value& value = get(name);
  std::vector<std::string> items;
  if (!value.set) return items;
  std::size_t begin = 0;
  for (std::size_t end; (end = value.text.find('\n', begin)) != std::string::npos; begin = end + 1)
    items.push_back(value.text.substr(begin, end - begin));
  items.push_back(value.text.substr(begin));
  return items;
}

}  // namespace colonnade
