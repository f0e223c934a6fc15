// Methods of texts that give texts.
#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/markup.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

/// A text of the same type as self: methods of Markup give Markup.
Value like(Context& context, const Value& self, MarkedText text) { return context.string(std::move(text), self.is_markup()); }

template <Case kCase>
Value change_case(Context& context, const Value& self, const Bound&) {
  return like(context, self, with_case(context, self.as_text(), kCase));
}

template <Side kSide>
Value strip(Context& context, const Value& self, const Bound& arguments) {
  const Value* letters = arguments.find_some(0);
  const MarkedText* chosen = letters != nullptr ? &arguments.string(0) : nullptr;
  context.budget.step_bytes(self.as_text().size() * (chosen != nullptr ? chosen->size() + 1 : 1));
  return like(context, self, stripped(self.as_text(), kSide, chosen));
}

Value pieces(Context& context, const Value& self, const std::vector<ByteRange>& ranges) {
  Values items;
  for (const ByteRange& range : ranges) items.push_back(like(context, self, self.as_text().part(range.begin, range.end)));
  return context.list(std::move(items));
}

template <bool kFromRight>
Value split(Context& context, const Value& self, const Bound& arguments) {
  const MarkedText* separator = arguments.find_some(0) != nullptr ? &arguments.string(0) : nullptr;
  return pieces(context, self, split_ranges(context, self.as_text().view(), separator, arguments.integer(1, -1), kFromRight));
}

Value split_lines(Context& context, const Value& self, const Bound& arguments) {
  context.budget.step_bytes(self.as_text().size());
  return pieces(context, self, line_ranges(self.as_text().view(), arguments.boolean(0, false)));
}

template <bool kFromRight>
Value partition(Context& context, const Value& self, const Bound& arguments) {
  const MarkedText &text = self.as_text(), &separator = arguments.string(0);
  if (separator.empty()) fail("empty separator");
  const std::size_t found = kFromRight ? text.view().rfind(separator.view()) : text.view().find(separator.view());
  const auto part = [&](std::size_t begin, std::size_t end) { return like(context, self, text.part(begin, end)); };
  if (found == std::string_view::npos) {
    const Value nothing = like(context, self, MarkedText());
    return kFromRight ? context.tuple({nothing, nothing, self}) : context.tuple({self, nothing, nothing});
  }
  const std::size_t after = found + separator.size();
  return context.tuple({part(0, found), part(found, after), part(after, text.size())});
}

Value replace(Context& context, const Value& self, const Bound& arguments) {
  const std::int64_t most = arguments.integer(2, -1);
  if (!self.is_markup()) return context.string(replaced(context, self.as_text(), arguments.string(0), arguments.string(1), most));
  return context.string(replaced(context, self.as_text(), escaped_text(context, arguments.at(0)), escaped_text(context, arguments.at(1)), most), true);
}

Value join(Context& context, const Value& self, const Bound& arguments) {
  TextBuilder out(context);
  const auto items = items_of(context, arguments.at(0));
  for (std::size_t i = 0; i < items->items.size(); ++i) {
    const Value& item = items->items[i];
    if (i > 0) out.append(self.as_text());
    if (self.is_markup()) {
      out.append(escaped_text(context, item));
      continue;
    }
    if (item.is_undefined()) fail(item.as_undefined().message);
    if (!item.is_string()) fail(text("sequence item ", i, ": expected str instance, ", type_name(item), " found"));
    out.append(item.as_text());
  }
  return out.value(self.is_markup());
}

template <Side kSide>
Value pad(Context& context, const Value& self, const Bound& arguments) {
  static const MarkedText kSpace(" ");
  const MarkedText& fill = arguments.string(1, &kSpace);
  if (count_letters(fill.view()) != 1) fail("The fill character must be exactly one character long");
  return like(context, self, padded(context, self.as_text(), arguments.integer(0, 0), fill.view(), kSide));
}

Value zero_fill(Context& context, const Value& self, const Bound& arguments) {
  const MarkedText& text = self.as_text();
  const bool sign = text.view().starts_with('-') || text.view().starts_with('+');
  const auto letters = static_cast<std::int64_t>(count_letters(text.view()));
  TextBuilder out(context);
  if (sign) out.append(text, 0, 1);
  if (arguments.integer(0, 0) > letters) out.repeat("0", arguments.integer(0, 0) - letters);
  out.append(text, sign ? 1 : 0, text.size());
  return out.value(self.is_markup());
}

Value expand_tabs(Context& context, const Value& self, const Bound& arguments) {
  const std::int64_t width = arguments.integer(0, 8);
  TextBuilder out(context);
  std::int64_t column = 0;
  const MarkedText& text = self.as_text();
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text.view(), at);
    if (letter.code == '\t') {
      const std::int64_t n = width > 0 ? width - column % width : 0;
      out.repeat(" ", n);
      column += n;
    } else {
      out.append(text, at, at + letter.size);
      column = letter.code == '\n' || letter.code == '\r' ? 0 : column + 1;
    }
    at += letter.size;
  }
  return out.value(self.is_markup());
}

template <bool kPrefix>
Value remove_affix(Context& context, const Value& self, const Bound& arguments) {
  const MarkedText &text = self.as_text(), &affix = arguments.string(0);
  if (kPrefix && text.view().starts_with(affix.view())) return like(context, self, text.part(affix.size(), text.size()));
  if (!kPrefix && text.view().ends_with(affix.view())) return like(context, self, text.part(0, text.size() - affix.size()));
  return self;
}

}  // namespace

std::span<const Method> text_change_methods() {
  static const Method kMethods[] = {
      {{"upper", "", 0}, change_case<Case::kUpper>},
      {{"lower", "", 0}, change_case<Case::kLower>},
      {{"title", "", 0}, change_case<Case::kTitle>},
      {{"capitalize", "", 0}, change_case<Case::kCapitalize>},
      {{"swapcase", "", 0}, change_case<Case::kSwap>},
      {{"casefold", "", 0}, change_case<Case::kFold>},
      {{"strip", "chars", 0}, strip<Side::kBoth>},
      {{"lstrip", "chars", 0}, strip<Side::kLeft>},
      {{"rstrip", "chars", 0}, strip<Side::kRight>},
      {{"split", "sep maxsplit", 0}, split<false>},
      {{"rsplit", "sep maxsplit", 0}, split<true>},
      {{"splitlines", "keepends", 0}, split_lines},
      {{"partition", "sep", 1}, partition<false>},
      {{"rpartition", "sep", 1}, partition<true>},
      {{"replace", "old new count", 2}, replace},
      {{"join", "iterable", 1}, join},
      {{"center", "width fillchar", 1}, pad<Side::kBoth>},
      {{"ljust", "width fillchar", 1}, pad<Side::kLeft>},
      {{"rjust", "width fillchar", 1}, pad<Side::kRight>},
      {{"zfill", "width", 1}, zero_fill},
      {{"expandtabs", "tabsize", 0}, expand_tabs},
      {{"removeprefix", "prefix", 1}, remove_affix<true>},
      {{"removesuffix", "suffix", 1}, remove_affix<false>},
      {{"format", "*", 0}, [](Context& c, const Value& self, const Bound& a) { return format_braces(c, self, a.all()); }},
      {{"format_map", "mapping", 1},
       [](Context& c, const Value& self, const Bound& a) { return format_braces_map(c, self, a.at(0)); }},
  };
  return kMethods;
}

}  // namespace colonnade::engine::jinja
