#include <cmath>

#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/markup.h"
#include "engine/text/jinja/number_text.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

class BraceFormatter {
 public:
  BraceFormatter(Context& context, const Value& format, const Arguments& arguments, const Value* mapping)
      : context_(context), format_(format), arguments_(arguments), mapping_(mapping) {}

  Value run() {
    TextBuilder out(context_);
    append(out, format_.as_text(), 0);
    return out.value(format_.is_markup());
  }

 private:
  void append(TextBuilder& out, const MarkedText& format, int nesting) {
    if (nesting > 1) fail("Max string recursion exceeded");
    const std::string_view all = format.view();
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t brace = std::min(all.find_first_of("{}", at), all.size());
      out.append(format, at, brace);
      if (brace == all.size()) return;
      at = brace + 1;
      if (at < all.size() && all[at] == all[brace]) {
        out.append(format, brace, at++);
        continue;
      }
      if (all[brace] == '}') fail("Single '}' encountered in format string");
      at = field(out, format, at, nesting);
    }
  }

  /// The field that begins at `at`: where the text goes on behind its '}'.
  std::size_t field(TextBuilder& out, const MarkedText& format, std::size_t at, int nesting) {
    context_.budget.step();
    const std::string_view all = format.view();
    std::size_t end = at;
    int open = 1;
    for (; end < all.size() && open > 0; ++end) open += all[end] == '{' ? 1 : all[end] == '}' ? -1 : 0;
    if (open > 0) fail("expected '}' before end of string");
    const std::size_t close = end - 1;
    std::size_t name_end = at;
    while (name_end < close && all[name_end] != ':' && all[name_end] != '!') {
      // In brackets everything is part of the key.
      if (all[name_end] == '[') name_end = std::min(all.find(']', name_end), close);
      if (name_end < close) ++name_end;
    }
    char conversion = 0;
    std::size_t spec_begin = name_end;
    if (spec_begin < close && all[spec_begin] == '!') {
      if (spec_begin + 1 >= close) fail("end of string while looking for conversion specifier");
      conversion = all[spec_begin + 1];
      spec_begin += 2;
      if (spec_begin < close && all[spec_begin] != ':') fail("expected ':' after conversion specifier");
    }
    Value value = lookup(all.substr(at, name_end - at));
    TextBuilder spec(context_);
    if (spec_begin < close) append(spec, format.part(spec_begin + 1, close), nesting + 1);
    value = converted(value, conversion);
    if (format_.is_markup()) value = context_.string(escaped_text(context_, value), true);
    append_formatted(out, context_, value, parse_format_spec(spec.take().bytes()));
    return end;
  }

  Value converted(const Value& value, char conversion) {
    if (conversion == 0) return value;
    if (conversion == 's') return to_string(context_, value);
    if (conversion != 'r' && conversion != 'a') fail(text("Unknown conversion specifier '", conversion, "'"));
    TextBuilder out(context_);
    append_repr(out, context_, value);
    return out.value();
  }

  Value first_value(std::string_view name) {
    const auto number = name.empty() ? std::optional(next_++) : parse_integer(name, 10);
    if (number && mapping_ == nullptr) {
      if (*number < 0 || *number >= static_cast<std::int64_t>(arguments_.positional.size()))
        fail(text("Replacement index ", *number, " out of range for positional args tuple"));
      return arguments_.positional[static_cast<std::size_t>(*number)];
    }
    if (mapping_ != nullptr) {
      const Value value = get_item(context_, *mapping_, context_.string(name));
      if (!value.is_undefined()) return value;
    }
    for (const auto& [argument, value] : arguments_.named)
      if (argument == name) return value;
    fail(text("format() misses the argument '", name, "'"));
  }

  /// "0.name[key]"
  Value lookup(std::string_view path) {
    std::size_t at = std::min(path.find_first_of(".["), path.size());
    Value value = first_value(path.substr(0, at));
    while (at < path.size()) {
      if (path[at] == '.') {
        const std::size_t end = std::min(path.find_first_of(".[", at + 1), path.size());
        value = get_attribute(context_, value, context_.string(path.substr(at + 1, end - at - 1)));
        at = end;
      } else if (path[at] == '[') {
        const std::size_t end = path.find(']', at);
        if (end == std::string_view::npos) fail("Missing ']' in format string");
        const std::string_view key = path.substr(at + 1, end - at - 1);
        const bool digits = !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
        const auto index = digits ? parse_integer(key, 10) : std::nullopt;
        value = get_item(context_, value, index ? Value::integer(*index) : context_.string(key));
        at = end + 1;
      } else {
        fail("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Context& context_;
  const Value& format_;
  const Arguments& arguments_;
  const Value* mapping_;
  std::int64_t next_ = 0;
};

}  // namespace

Value format_braces(Context& context, const Value& format, Arguments& arguments) {
  return BraceFormatter(context, format, arguments, nullptr).run();
}

Value format_braces_map(Context& context, const Value& format, const Value& mapping) {
  return BraceFormatter(context, format, Arguments(), &mapping).run();
}

}  // namespace colonnade::engine::jinja
