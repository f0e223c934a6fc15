#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/format_text.h"
#include "engine/text/jinja/access.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/format.h"
#include "engine/text/jinja/markup.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Context& context, const Value& format, const Value& values) : context_(context), format_(format), values_(values) {
    if (is_tuple()) list_ = values.as_sequence()->items;
    else list_ = {values};
  }

  Value run() {
    const MarkedText& format = format_.as_text();
    const std::string_view all = format.view();
    TextBuilder out(context_);
    while (at_ < all.size()) {
      const std::size_t percent = std::min(all.find('%', at_), all.size());
      out.append(format, at_, percent);
      at_ = percent;
      if (at_ < all.size()) conversion(out, all);
    }
    // What could have been a mapping is no mistake when no conversion asked for it.
    const bool mapping = values_.is(Kind::kDict) || values_.is_undefined() || (values_.is(Kind::kSequence) && !is_tuple());
    if (next_ < list_.size() && !mapping) fail("not all arguments converted during string formatting");
    return out.value(format_.is_markup());
  }

 private:
  bool is_tuple() const {
    return values_.is(Kind::kSequence) && (values_.as_sequence()->type == Sequence::Type::kTuple ||
                                           values_.as_sequence()->type == Sequence::Type::kGroup);
  }

  const Value& next_value() {
    if (next_ >= list_.size()) fail("not enough arguments for format string");
    return list_[next_++];
  }

  std::int64_t number(std::string_view all) {
    if (at_ < all.size() && all[at_] == '*') {
      ++at_;
      const Value& value = next_value();
      if (!value.is_integer()) fail("* wants int");
      return value.as_integer();
    }
    std::int64_t value = 0;
    for (; at_ < all.size() && all[at_] >= '0' && all[at_] <= '9'; ++at_) {
      value = value * 10 + (all[at_] - '0');
      if (value > 1'000'000'000) fail("a width or precision in a format is too large", ErrorCode::kExhausted);
    }
    return value;
  }

  void conversion(TextBuilder& out, std::string_view all) {
    context_.budget.step();
    ++at_;
    std::optional<Value> keyed;
    if (at_ < all.size() && all[at_] == '(') {
      const std::size_t close = all.find(')', at_);
      if (close == std::string_view::npos) fail("incomplete format key");
      if (!values_.is(Kind::kDict)) fail("format requires a mapping");
      const std::string_view key = all.substr(at_ + 1, close - at_ - 1);
      const Value* found = find_key(values_.as_dict(), key);
      if (found == nullptr) fail(text("the values of a format have no key '", key, "'"));
      keyed = *found;
      next_ = list_.size();
      at_ = close + 1;
    }
    FormatSpec spec;
    bool left = false;
    for (; at_ < all.size() && std::string_view("-+ #0").find(all[at_]) != std::string_view::npos; ++at_) {
      if (all[at_] == '-') left = true;
      else if (all[at_] == '+') spec.sign = '+';
      else if (all[at_] == ' ' && spec.sign != '+') spec.sign = ' ';
      else if (all[at_] == '#') spec.alternate = true;
      else if (all[at_] == '0') spec.zero = true;
    }
    spec.width = number(all);
    if (spec.width < 0) {
      left = true;
      spec.width = spec.width == std::numeric_limits<std::int64_t>::min() ? 0 : -spec.width;
    }
    if (at_ < all.size() && all[at_] == '.') {
      ++at_;
      spec.precision = static_cast<int>(std::clamp<std::int64_t>(number(all), 0, 2'000'000'000));
    }
    while (at_ < all.size() && (all[at_] == 'l' || all[at_] == 'h' || all[at_] == 'L')) ++at_;
    if (at_ >= all.size()) fail("incomplete format");
    const char type = all[at_++];
    if (type == '%') return out.append('%');
    spec.align = left ? '<' : '>';
    append_value(out, keyed ? *keyed : next_value(), type, spec);
  }

  void append_value(TextBuilder& out, const Value& value, char type, FormatSpec spec) {
    if (type == 's' || type == 'r' || type == 'a') {
      Value shown = value;
      if (type == 's') {
        shown = to_string(context_, value);
      } else {
        TextBuilder repr(context_);
        append_repr(repr, context_, value);
        shown = repr.value();
      }
      if (format_.is_markup()) shown = context_.string(escaped_text(context_, value.is_markup() ? value : shown), true);
      spec.type = 0;
      spec.zero = false;
      return append_formatted(out, context_, shown, spec);
    }
    if (value.is_undefined()) fail(value.as_undefined().message);
    if (type == 'c') {
      if (value.is_string() && length_of(value) == 1) return append_formatted(out, context_, value, spec);
      if (!value.is_integer()) fail("%c requires int or char");
      spec.type = 'c';
      return append_formatted(out, context_, value, spec);
    }
    if (std::string_view("diuoxXeEfFgG").find(type) == std::string_view::npos) fail(text("unsupported format character '", type, "'"));
    if (!value.is_number()) fail(text("%", type, " format: a real number is required, not ", type_name(value)));
    if (spec.zero && spec.align == '>') {
      spec.align = '=';
      spec.fill = "0";
    }
    const bool integral = std::string_view("diuoxX").find(type) != std::string_view::npos;
    if (!integral) {
      spec.type = type;
      return append_formatted(out, context_, Value::real(value.as_real()), spec);
    }
    if (!value.is_integer() && std::string_view("oxX").find(type) != std::string_view::npos)
      fail(text("%", type, " format: an integer is required, not ", type_name(value)));
    if (!value.is_integer() && !(std::abs(value.as_real()) < 0x1p63)) fail("an integer does not fit in 64 bits", ErrorCode::kExhausted);
    const std::int64_t integer = value.is_integer() ? value.as_integer() : static_cast<std::int64_t>(value.as_real());
    append_digits(out, integer, type, spec);
  }

  /// A precision asks for at least so many digits.
  void append_digits(TextBuilder& out, std::int64_t integer, char type, FormatSpec spec) {
    const int precision = std::min(spec.precision, kMaxPrecision);
    FormatSpec bare;
    bare.type = type == 'i' || type == 'u' ? 'd' : type;
    TextBuilder digits(context_);
    append_formatted(digits, context_, Value::integer(integer), bare);
    std::string magnitude = digits.take().bytes();
    if (integer < 0) magnitude.erase(0, 1);
    if (precision > static_cast<int>(magnitude.size())) magnitude.insert(0, static_cast<std::size_t>(precision) - magnitude.size(), '0');
    const char* prefix = !spec.alternate ? "" : type == 'x' ? "0x" : type == 'X' ? "0X" : type == 'o' ? "0o" : "";
    append_number(out, magnitude, integer < 0, prefix, spec);
  }

  Context& context_;
  const Value& format_;
  const Value& values_;
  Values list_;
  std::size_t next_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

Value format_percent(Context& context, const Value& format, const Value& values) {
  return PercentFormatter(context, format, values).run();
}

}  // namespace colonnade::engine::jinja
