#include "engine/text/jinja/print.h"

#include <cstdio>

#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/number_text.h"

namespace colonnade::engine::jinja {
namespace {

std::string hex_escape(char32_t code) {
  char buffer[16];
  const char* format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(code));
  return buffer;
}

void append_quoted(TextBuilder& out, const MarkedText& text) {
  const bool has_single = text.view().find('\'') != std::string_view::npos;
  const char quote = has_single && text.view().find('"') == std::string_view::npos ? '"' : '\'';
  out.append(quote);
  std::size_t plain = 0;  // begin of what needs no escape
  for (std::size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text.view(), at);
    std::string escaped;
    if (letter.code == static_cast<char32_t>(quote) || letter.code == '\\') escaped = std::string("\\") + static_cast<char>(letter.code);
    else if (letter.code == '\n') escaped = "\\n";
    else if (letter.code == '\r') escaped = "\\r";
    else if (letter.code == '\t') escaped = "\\t";
    else if (letter.code < 0x20 || (letter.code >= 0x7F && !is_printable(letter.code))) escaped = hex_escape(letter.code);
    if (!escaped.empty()) {
      out.append(text, plain, at);
      out.append_as(escaped, text, at, at + letter.size);
      plain = at + letter.size;
    }
    at += letter.size;
  }
  out.append(text, plain, text.size());
  out.append(quote);
}

void append_items(TextBuilder& out, Context& context, const Values& items, std::string_view open, std::string_view close) {
  out.append(open);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(out, context, items[i]);
  }
  out.append(close);
}

void append_sequence(TextBuilder& out, Context& context, const Sequence& sequence) {
  switch (sequence.type) {
    case Sequence::Type::kList: return append_items(out, context, sequence.items, "[", "]");
    case Sequence::Type::kDictKeys: return append_items(out, context, sequence.items, "dict_keys([", "])");
    case Sequence::Type::kDictValues: return append_items(out, context, sequence.items, "dict_values([", "])");
    case Sequence::Type::kDictItems: return append_items(out, context, sequence.items, "dict_items([", "])");
    case Sequence::Type::kRange:
      out.append("range(" + std::to_string(sequence.range[0]) + ", " + std::to_string(sequence.range[1]));
      if (sequence.range[2] != 1) out.append(", " + std::to_string(sequence.range[2]));
      return out.append(')');
    default: return append_items(out, context, sequence.items, "(", sequence.items.size() == 1 ? ",)" : ")");
  }
}

}  // namespace

void append_repr(TextBuilder& out, Context& context, const Value& value) {
  context.budget.step();
  switch (value.kind()) {
    case Kind::kNone: return out.append("None");
    case Kind::kUndefined: return out.append("Undefined");
    case Kind::kBool: return out.append(value.as_bool() ? "True" : "False");
    case Kind::kInt: return out.append(std::to_string(value.as_integer()));
    case Kind::kFloat: return out.append(float_repr(value.as_real()));
    case Kind::kString:
      if (value.is_markup()) out.append("Markup(");
      append_quoted(out, value.as_text());
      if (value.is_markup()) out.append(')');
      return;
    case Kind::kSequence: return append_sequence(out, context, *value.as_sequence());
    case Kind::kDict: {
      const auto& entries = value.as_dict().entries;
      out.append('{');
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (i > 0) out.append(", ");
        append_repr(out, context, entries[i].first);
        out.append(": ");
        append_repr(out, context, entries[i].second);
      }
      return out.append('}');
    }
    case Kind::kIterator: return out.append(std::string("<") + value.as_iterator().type + " object>");
    case Kind::kObject: return out.append(value.as_object()->repr());
  }
}

void append_str(TextBuilder& out, Context& context, const Value& value) {
  if (value.is_string()) out.append(value.as_text());
  else if (!value.is_undefined()) append_repr(out, context, value);
}

MarkedText str_of(Context& context, const Value& value) {
  if (value.is_string()) return value.as_text();
  TextBuilder out(context);
  append_str(out, context, value);
  return out.take();
}

Value to_string(Context& context, const Value& value) {
  if (value.is_string()) return value;
  return context.string(str_of(context, value));
}

}  // namespace colonnade::engine::jinja
