// Methods of texts that find and ask.
#include <optional>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

std::optional<std::int64_t> bound_of(const Bound& arguments, std::size_t i) {
  return arguments.find_some(i) != nullptr ? std::optional(arguments.integer(i, 0)) : std::nullopt;
}

/// The part of self between the arguments 1 and 2.
std::optional<ByteRange> searched(const Value& self, const Bound& arguments) {
  return letter_range(self.as_text().view(), bound_of(arguments, 1), bound_of(arguments, 2));
}

template <bool kFromRight>
std::int64_t find_index(Context& context, const Value& self, const Bound& arguments) {
  const std::string_view all = self.as_text().view();
  context.budget.step_bytes(all.size());
  const std::string_view wanted = arguments.string(0).view();
  const auto range = searched(self, arguments);
  if (!range) return -1;
  const std::string_view part = all.substr(range->begin, range->end - range->begin);
  const std::size_t found = kFromRight ? part.rfind(wanted) : part.find(wanted);
  return found == std::string_view::npos ? -1 : static_cast<std::int64_t>(count_letters(all.substr(0, range->begin + found)));
}

template <bool kFromRight>
Value find(Context& context, const Value& self, const Bound& arguments) {
  return Value::integer(find_index<kFromRight>(context, self, arguments));
}

template <bool kFromRight>
Value index(Context& context, const Value& self, const Bound& arguments) {
  const std::int64_t found = find_index<kFromRight>(context, self, arguments);
  if (found < 0) fail("substring not found");
  return Value::integer(found);
}

Value count(Context& context, const Value& self, const Bound& arguments) {
  const std::string_view all = self.as_text().view(), wanted = arguments.string(0).view();
  context.budget.step_bytes(all.size());
  const auto range = searched(self, arguments);
  if (!range) return Value::integer(0);
  const std::string_view part = all.substr(range->begin, range->end - range->begin);
  if (wanted.empty()) return Value::integer(static_cast<std::int64_t>(count_letters(part)) + 1);
  std::int64_t n = 0;
  for (std::size_t at = part.find(wanted); at != std::string_view::npos; at = part.find(wanted, at + wanted.size())) ++n;
  return Value::integer(n);
}

template <bool kPrefix>
Value has_affix(Context& context, const Value& self, const Bound& arguments) {
  const Value& wanted = arguments.at(0);
  const char* const name = kPrefix ? "startswith" : "endswith";
  const bool tuple = wanted.is(Kind::kSequence) && wanted.as_sequence()->type == Sequence::Type::kTuple;
  if (!wanted.is_string() && !tuple) fail_argument(name, "first argument", "a string or a tuple of strings", wanted);
  const auto range = searched(self, arguments);
  if (!range) return Value::boolean(false);
  const std::string_view part = self.as_text().view().substr(range->begin, range->end - range->begin);
  const auto fits = [&](const Value& one) {
    if (!one.is_string()) fail_argument(name, "every item", "a string", one);
    return kPrefix ? part.starts_with(one.as_text().view()) : part.ends_with(one.as_text().view());
  };
  if (!tuple) return Value::boolean(fits(wanted));
  for (const Value& one : wanted.as_sequence()->items) {
    context.budget.step();
    if (fits(one)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

/// True for a text of at least one letter, all of which are `kIs`.
template <bool (*kIs)(char32_t), bool kEmpty = false>
Value all_letters(Context& context, const Value& self, const Bound&) {
  const std::string_view all = self.as_text().view();
  context.budget.step_bytes(all.size());
  for (std::size_t at = 0; at < all.size();) {
    const Letter letter = letter_at(all, at);
    if (!kIs(letter.code)) return Value::boolean(false);
    at += letter.size;
  }
  return Value::boolean(kEmpty || !all.empty());
}

bool is_alphanumeric(char32_t code) { return is_alpha(code) || is_numeric(code); }
bool is_ascii_letter(char32_t code) { return code < 0x80; }

Value is_identifier(Context&, const Value& self, const Bound&) {
  const std::string_view all = self.as_text().view();
  for (std::size_t at = 0; at < all.size();) {
    const Letter letter = letter_at(all, at);
    if (!(at == 0 ? is_identifier_start(letter.code) : is_identifier_part(letter.code))) return Value::boolean(false);
    at += letter.size;
  }
  return Value::boolean(!all.empty());
}

}  // namespace

std::span<const Method> text_search_methods() {
  static const Method kMethods[] = {
      {{"startswith", "prefix start end", 1}, has_affix<true>},
      {{"endswith", "suffix start end", 1}, has_affix<false>},
      {{"find", "sub start end", 1}, find<false>},
      {{"rfind", "sub start end", 1}, find<true>},
      {{"index", "sub start end", 1}, index<false>},
      {{"rindex", "sub start end", 1}, index<true>},
      {{"count", "sub start end", 1}, count},
      {{"isalpha", "", 0}, all_letters<is_alpha>},
      {{"isalnum", "", 0}, all_letters<is_alphanumeric>},
      {{"isascii", "", 0}, all_letters<is_ascii_letter, true>},
      {{"isdecimal", "", 0}, all_letters<is_decimal>},
      {{"isdigit", "", 0}, all_letters<is_digit>},
      {{"isnumeric", "", 0}, all_letters<is_numeric>},
      {{"isspace", "", 0}, all_letters<is_space>},
      {{"isprintable", "", 0}, all_letters<is_printable, true>},
      {{"isidentifier", "", 0}, is_identifier},
      {{"islower", "", 0}, [](Context&, const Value& v, const Bound&) { return Value::boolean(is_lower_text(v.as_text().view())); }},
      {{"isupper", "", 0}, [](Context&, const Value& v, const Bound&) { return Value::boolean(is_upper_text(v.as_text().view())); }},
      {{"istitle", "", 0}, [](Context&, const Value& v, const Bound&) { return Value::boolean(is_title_text(v.as_text().view())); }},
  };
  return kMethods;
}

}  // namespace colonnade::engine::jinja
