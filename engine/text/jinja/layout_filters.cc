// Filters that lay out text: indent, tojson, xmlattr.
#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/markup.h"
#include "engine/text/jinja/print.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

Value indent(Context& context, const Value& subject, const Bound& arguments) {
  if (!subject.is_string()) fail_argument("indent", "the value", "a string", subject);
  TextBuilder by(context);
  if (arguments.find(0) != nullptr && arguments.at(0).is_string()) by.append(arguments.string(0));
  else by.repeat(" ", arguments.integer(0, 4));
  const MarkedText indention = by.take();
  const bool first = arguments.boolean(1, false), blank = arguments.boolean(2, false);
  const MarkedText& all = subject.as_text();
  context.budget.step_bytes(all.size());
  std::vector<ByteRange> lines = line_ranges(all.view(), false);
  // Jinja adds a line end before it splits: what ends with one has an empty line more.
  const std::size_t last = all.empty() ? 0 : letter_before(all.view(), all.size());
  if (all.empty() || is_line_break(letter_at(all.view(), last).code)) {
    // "\r" and the "\n" that is added are one line end.
    if (all.empty() || all.view().back() != '\r') lines.push_back({all.size(), all.size()});
  }
  TextBuilder out(context);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool empty = lines[i].begin == lines[i].end;
    if (i > 0) out.append('\n');
    if (i == 0 ? first : blank || !empty) out.append(indention);
    out.append(all, lines[i].begin, lines[i].end);
  }
  return out.value(subject.is_markup());
}

Value to_json(Context& context, const Value& subject, const Bound& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.boolean(0, false);
  style.sort_keys = arguments.boolean(3, false);
  if (const Value* indent_value = arguments.find_some(1)) {
    if (indent_value->is_string()) {
      style.indent = indent_value->as_text();
    } else {
      TextBuilder spaces(context);
      spaces.repeat(" ", arguments.integer(1, 0));
      style.indent = spaces.take();
    }
    style.item_separator = MarkedText(",");
  }
  if (const Value* separators = arguments.find_some(2)) {
    const auto pair = items_of(context, *separators);
    if (pair->items.size() != 2 || !pair->items[0].is_string() || !pair->items[1].is_string())
      fail("tojson(): separators must be two strings");
    style.item_separator = pair->items[0].as_text();
    style.key_separator = pair->items[1].as_text();
  }
  TextBuilder out(context);
  append_json(out, context, subject, style);
  return out.value();
}

Value xml_attributes(Context& context, const Value& subject, const Bound& arguments) {
  if (!subject.is(Kind::kDict)) fail_argument("xmlattr", "the value", "a dict", subject);
  TextBuilder out(context);
  for (const Dict::Entry& entry : subject.as_dict().entries) {
    if (entry.second.is_none() || entry.second.is_undefined()) continue;
    if (!entry.first.is_string()) fail_argument("xmlattr", "every key", "a string", entry.first);
    if (entry.first.as_text().view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos)
      fail(text("Invalid character in attribute name: '", entry.first.as_text().bytes(), "'"));
    if (out.size() > 0 || arguments.boolean(0, true)) out.append(' ');
    out.append(escaped_text(context, entry.first));
    out.append("=\"");
    out.append(escaped_text(context, entry.second));
    out.append('"');
  }
  return out.value();
}

}  // namespace

std::span<const Filter> layout_filters() {
  static const Filter kFilters[] = {
      {{"indent", "width first blank", 0}, indent},
      {{"tojson", "ensure_ascii indent separators sort_keys", 0}, to_json},
      {{"xmlattr", "autospace", 0}, xml_attributes},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
