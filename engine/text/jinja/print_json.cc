#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/number_text.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

std::string unicode_escape(char32_t code) {
  char buffer[16];
  if (code < 0x10000) {
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(code));
  } else {
    const unsigned rest = static_cast<unsigned>(code) - 0x10000;
    std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
  }
  return buffer;
}

std::string escape_of(char32_t code, bool ensure_ascii) {
  switch (code) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\b': return "\\b";
    case '\f': return "\\f";
    default: return code < 0x20 || (ensure_ascii && code > 0x7F) ? unicode_escape(code) : "";
  }
}

class JsonWriter {
 public:
  JsonWriter(TextBuilder& out, Context& context, const JsonStyle& style) : out_(out), context_(context), style_(style) {}

  void write(const Value& value) {
    context_.budget.step();
    switch (value.kind()) {
      case Kind::kNone: return out_.append("null");
      case Kind::kBool: return out_.append(value.as_bool() ? "true" : "false");
      case Kind::kInt: return out_.append(std::to_string(value.as_integer()));
      case Kind::kFloat: return out_.append(real(value.as_real()));
      case Kind::kString: return quote(value.as_text());
      case Kind::kDict: return object(value.as_dict());
      case Kind::kSequence: {
        const Sequence& sequence = *value.as_sequence();
        const auto type = sequence.type;
        if (type == Sequence::Type::kList || type == Sequence::Type::kTuple || type == Sequence::Type::kGroup) return array(sequence);
        break;
      }
      default: break;
    }
    fail(text("Object of type ", type_name(value), " is not JSON serializable"));
  }

 private:
  static std::string real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void quote(const MarkedText& letters) {
    out_.append('"');
    std::size_t plain = 0;
    for (std::size_t at = 0; at < letters.size();) {
      const Letter letter = letter_at(letters.view(), at);
      const std::string escaped = escape_of(letter.code, style_.ensure_ascii);
      if (!escaped.empty()) {
        out_.append(letters, plain, at);
        out_.append_as(escaped, letters, at, at + letter.size);
        plain = at + letter.size;
      }
      at += letter.size;
    }
    out_.append(letters, plain, letters.size());
    out_.append('"');
  }

  void new_line() {
    if (!style_.indent) return;
    out_.append('\n');
    for (int i = 0; i < level_; ++i) out_.append(*style_.indent);
  }

  void array(const Sequence& sequence) {
    if (sequence.items.empty()) return out_.append("[]");
    out_.append('[');
    ++level_;
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line();
      write(sequence.items[i]);
    }
    --level_;
    new_line();
    out_.append(']');
  }

  void key(const Value& value) {
    switch (value.kind()) {
      case Kind::kString: return quote(value.as_text());
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kFloat:
        out_.append('"');
        write(value);
        return out_.append('"');
      default: fail(text("keys must be str, int, float, bool or None, not ", type_name(value)));
    }
  }

  void object(const Dict& dict) {
    if (dict.entries.empty()) return out_.append("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const Dict::Entry* a, const Dict::Entry* b) {
        return less(context_, a->first, b->first);
      });
    }
    out_.append('{');
    ++level_;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line();
      key(entries[i]->first);
      out_.append(style_.key_separator);
      write(entries[i]->second);
    }
    --level_;
    new_line();
    out_.append('}');
  }

  TextBuilder& out_;
  Context& context_;
  const JsonStyle& style_;
  int level_ = 0;
};

}  // namespace

void append_json(TextBuilder& out, Context& context, const Value& value, const JsonStyle& style) {
  JsonWriter(out, context, style).write(value);
}

}  // namespace colonnade::engine::jinja
