// Filters that give texts, or ask about one.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/print.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

template <Case kCase>
Value change_case(Context& context, const Value& subject, const Bound&) {
  return context.string(with_case(context, str_of(context, subject), kCase), subject.is_markup());
}

bool begins_word_after(char32_t code) {
  return is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
}

/// Unlike str.title: only white space and opening brackets part words.
Value title(Context& context, const Value& subject, const Bound&) {
  const MarkedText all = str_of(context, subject);
  TextBuilder out(context);
  bool begins = true;
  for (std::size_t at = 0; at < all.size();) {
    const Letter letter = letter_at(all.view(), at);
    std::size_t end = at + letter.size;
    if (begins_word_after(letter.code)) {
      out.append(all, at, end);
      begins = true;
    } else if (begins) {
      out.append_as(upper_of(letter.code), all, at, end);
      begins = false;
    } else {
      while (end < all.size() && !begins_word_after(letter_at(all.view(), end).code)) end += letter_at(all.view(), end).size;
      out.append(with_case(context, all.part(at, end), Case::kLower));
    }
    at = end;
  }
  return out.value();
}

Value trim(Context& context, const Value& subject, const Bound& arguments) {
  const MarkedText* letters = arguments.find_some(0) != nullptr ? &arguments.string(0) : nullptr;
  const MarkedText all = str_of(context, subject);
  context.budget.step_bytes(all.size() * (letters != nullptr ? letters->size() + 1 : 1));
  return context.string(stripped(all, Side::kBoth, letters), subject.is_markup());
}

Value replace(Context& context, const Value& subject, const Bound& arguments) {
  const std::int64_t most = arguments.find_some(2) != nullptr ? arguments.integer(2, -1) : -1;
  return context.string(
      replaced(context, str_of(context, subject), str_of(context, arguments.at(0)), str_of(context, arguments.at(1)), most));
}

Value center(Context& context, const Value& subject, const Bound& arguments) {
  return context.string(padded(context, str_of(context, subject), arguments.integer(0, 80), " ", Side::kBoth), subject.is_markup());
}

Value truncate(Context& context, const Value& subject, const Bound& arguments) {
  static const MarkedText kDots("...");
  const std::int64_t length = arguments.integer(0, 255);
  const MarkedText& end = arguments.string(2, &kDots);
  const std::int64_t leeway = arguments.find_some(3) != nullptr ? arguments.integer(3, 5) : 5;
  const auto end_letters = static_cast<std::int64_t>(count_letters(end.view()));
  if (length < end_letters) fail(text("truncate(): expected length >= ", end_letters, ", found ", length));
  if (leeway < 0) fail(text("truncate(): expected leeway >= 0, found ", leeway));
  if (length_of(subject) - leeway <= length) return subject;
  if (!subject.is_string()) fail_argument("truncate", "the value", "a string", subject);
  const MarkedText& all = subject.as_text();
  std::size_t cut = letter_offset(all.view(), static_cast<std::size_t>(length - end_letters));
  if (!arguments.boolean(1, false)) cut = std::min(cut, all.view().substr(0, cut).rfind(' '));
  TextBuilder out(context);
  out.append(all, 0, cut);
  out.append(end);
  return out.value(subject.is_markup());
}

Value word_count(Context& context, const Value& subject, const Bound&) {
  const MarkedText all = str_of(context, subject);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < all.size();) {
    const Letter letter = letter_at(all.view(), at);
    const bool word = is_word(letter.code);
    if (word && !inside) ++words;
    inside = word;
    at += letter.size;
  }
  return Value::integer(words);
}

Value format(Context& context, const Value& subject, const Bound& arguments) {
  Arguments& all = arguments.all();
  if (!all.positional.empty() && !all.named.empty()) fail("format(): can't handle positional and keyword arguments at the same time");
  const Value words = to_string(context, subject);
  if (all.named.empty()) return format_percent(context, words, context.tuple(all.positional));
  std::vector<Dict::Entry> entries;
  for (const auto& [name, value] : all.named) entries.emplace_back(context.string(name), value);
  return format_percent(context, words, context.dict(std::move(entries)));
}

void append_quoted(TextBuilder& out, const MarkedText& words, bool in_query) {
  for (std::size_t at = 0; at < words.size(); ++at) {
    const auto byte = static_cast<unsigned char>(words.view()[at]);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_' ||
                       byte == '.' || byte == '-' || byte == '~' || (byte == '/' && !in_query);
    static constexpr char kHex[] = "0123456789ABCDEF";
    const char escaped[] = {'%', kHex[byte >> 4], kHex[byte & 15]};
    if (plain) out.append(words, at, at + 1);
    else if (byte == ' ' && in_query) out.append_as("+", words, at, at + 1);
    else out.append_as({escaped, 3}, words, at, at + 1);
  }
}

Value url_encode(Context& context, const Value& subject, const Bound&) {
  TextBuilder out(context);
  if (subject.is_string() || !is_iterable(subject)) {
    append_quoted(out, str_of(context, subject), false);
    return out.value();
  }
  const auto append_pair = [&](const Value& key, const Value& value) {
    if (out.size() > 0) out.append('&');
    append_quoted(out, str_of(context, key), true);
    out.append('=');
    append_quoted(out, str_of(context, value), true);
  };
  if (subject.is(Kind::kDict)) {
    for (const Dict::Entry& entry : subject.as_dict().entries) append_pair(entry.first, entry.second);
    return out.value();
  }
  for (const Value& one : items_of(context, subject)) {
    const auto pair = items_of(context, one);
    if (pair->items.size() != 2) fail("urlencode(): expected pairs of a key and a value");
    append_pair(pair->items[0], pair->items[1]);
  }
  return out.value();
}

}  // namespace

std::span<const Filter> text_filters() {
  static const Filter kFilters[] = {
      {{"capitalize", "", 0}, change_case<Case::kCapitalize>},
      {{"center", "width", 0}, center},
      {{"format", "*", 0}, format},
      {{"lower", "", 0}, change_case<Case::kLower>},
      {{"replace", "old new count", 2}, replace},
      {{"string", "", 0}, [](Context& context, const Value& subject, const Bound&) { return to_string(context, subject); }},
      {{"title", "", 0}, title},
      {{"trim", "chars", 0}, trim},
      {{"truncate", "length killwords end leeway", 0}, truncate},
      {{"upper", "", 0}, change_case<Case::kUpper>},
      {{"urlencode", "", 0}, url_encode},
      {{"wordcount", "", 0}, word_count},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
