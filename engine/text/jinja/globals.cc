#include "engine/text/jinja/globals.h"

#include <cmath>
#include <ctime>
#include <utility>

#include "engine/base/format_text.h"
#include "engine/text/jinja/arguments.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/function.h"
#include "engine/text/jinja/print.h"

namespace colonnade::engine::jinja {
namespace {

// As Jinja's sandbox.
constexpr std::int64_t kMaxRange = 100'000;
// Beyond this a range is a mistake; below it nothing overflows.
constexpr std::int64_t kLargestBound = std::int64_t{1} << 40;

class Function : public Object {
 public:
  Function(std::string name, NativeFunction function, int depth)
      : Object(depth), name_(std::move(name)), function_(std::move(function)) {}

  std::string type_name() const override { return "function"; }
  std::string repr() const override { return "<function " + name_ + ">"; }
  bool is_callable() const override { return true; }
  Value call(Context& context, Arguments& arguments) override { return function_(context, arguments); }

 private:
  std::string name_;
  NativeFunction function_;
};

class Namespace : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  bool is_namespace() const override { return true; }
  std::optional<Value> attribute(Context&, std::string_view name) override {
    for (const auto& [known, value] : attributes_)
      if (known == name) return value;
    return std::nullopt;
  }
  void set_attribute(Context& context, const std::string& name, Value value) override {
    context.budget.step(attributes_.size() / 8);
    for (auto& [known, held] : attributes_) {
      if (known != name) continue;
      held = std::move(value);
      return;
    }
    context.budget.take(name.size() + sizeof attributes_.front());  // for good: names are few
    attributes_.emplace_back(name, std::move(value));
  }
  void clear() override { std::exchange(attributes_, {}).clear(); }

 private:
  std::vector<std::pair<std::string, Value>> attributes_;
};

/// Of dict() and namespace(): a mapping or pairs, then keywords.
std::vector<Dict::Entry> entries_of(Context& context, const char* function, const Arguments& arguments) {
  if (arguments.positional.size() > 1) fail(text(function, "() takes at most 1 positional argument, found ", arguments.positional.size()));
  std::vector<Dict::Entry> entries;
  if (!arguments.positional.empty()) {
    const Value& given = arguments.positional[0];
    if (given.is(Kind::kDict)) {
      entries = given.as_dict().entries;
    } else {
      for (const Value& one : items_of(context, given)) {
        const auto pair = items_of(context, one);
        if (pair->items.size() != 2) fail(text(function, "(): expected pairs of a key and a value"));
        entries.emplace_back(pair->items[0], pair->items[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) entries.emplace_back(context.string(name), value);
  return entries;
}

Value make_dict(Context& context, Arguments& arguments) { return context.dict(entries_of(context, "dict", arguments)); }

Value make_namespace(Context& context, Arguments& arguments) {
  const auto made = context.object<Namespace>();
  context.clear_at_end(made);
  for (auto& [key, value] : entries_of(context, "namespace", arguments)) {
    if (!key.is_string()) fail_argument("namespace", "every key", "a string", key);
    made->set_attribute(context, key.as_text().bytes(), std::move(value));
  }
  return Value(std::shared_ptr<Object>(made));
}

Value make_range(Context& context, Arguments& arguments) {
  static constexpr Signature kSignature{"range", "start stop step", 1};
  const Bound bound(context, kSignature, arguments);
  const bool one = bound.find(1) == nullptr;
  const std::int64_t start = one ? 0 : bound.integer(0, 0), stop = bound.integer(one ? 0 : 1, 0), step = bound.integer(2, 1);
  if (step == 0) fail("range() arg 3 must not be zero");
  for (const std::int64_t number : {start, stop, step}) {
    if (number > kLargestBound || number < -kLargestBound)
      fail(text("range(): expected numbers of at most ", kLargestBound, ", found ", number), ErrorCode::kExhausted);
  }
  const std::int64_t span = step > 0 ? stop - start : start - stop;
  const std::int64_t stride = std::abs(step);
  const std::int64_t n = span <= 0 ? 0 : (span + stride - 1) / stride;
  if (n > kMaxRange) fail(text("Range too big: found ", n, " numbers, the limit is ", kMaxRange), ErrorCode::kExhausted);
  Values items;
  for (std::int64_t i = 0; i < n; ++i) items.push_back(Value::integer(start + i * step));
  return context.range(std::move(items), start, stop, step);
}

class Cycler : public Object {
 public:
  explicit Cycler(Value items) : Object(items.depth() + 1), items_(std::move(items)) {}

  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  void set_self(const std::shared_ptr<Cycler>& self) { self_ = self; }

 private:
  const Values& all() const { return items_.as_sequence()->items; }

  Value items_;
  std::size_t at_ = 0;
  std::weak_ptr<Cycler> self_;
};

std::optional<Value> Cycler::attribute(Context& context, std::string_view name) {
  const auto self = self_.lock();
  if (name == "current") return all()[at_];
  if (name == "pos") return Value::integer(static_cast<std::int64_t>(at_));
  if (name == "items") return items_;
  if (name == "next") {
    return make_function(context, "next", [self](Context&, Arguments&) {
      const Value& now = self->all()[self->at_];
      self->at_ = (self->at_ + 1) % self->all().size();
      return now;
    }, depth() + 1);
  }
  if (name == "reset") {
    return make_function(context, "reset", [self](Context&, Arguments&) {
      self->at_ = 0;
      return Value();
    }, depth() + 1);
  }
  return std::nullopt;
}

Value make_cycler(Context& context, Arguments& arguments) {
  if (arguments.positional.empty()) fail("at least one item has to be provided");
  const auto made = context.object<Cycler>(context.tuple(arguments.positional));
  made->set_self(made);
  return Value(std::shared_ptr<Object>(made));
}

Value make_joiner(Context& context, Arguments& arguments) {
  static constexpr Signature kSignature{"joiner", "sep", 0};
  const Bound bound(context, kSignature, arguments);
  const Value separator = bound.find(0) != nullptr ? *bound.find(0) : context.string(", ");
  const Value nothing = context.string("");
  return make_function(context, "joiner", [separator, nothing, used = false](Context&, Arguments&) mutable {
    return std::exchange(used, true) ? separator : nothing;
  }, separator.depth() + 1);
}

Value raise_exception(Context& context, Arguments& arguments) {
  static constexpr Signature kSignature{"raise_exception", "message", 1};
  const Bound bound(context, kSignature, arguments);
  fail(str_of(context, bound.at(0)).bytes());
}

/// One directive of strftime: where it ends.
std::size_t directive_end(std::string_view format, std::size_t at) {
  ++at;
  while (at < format.size() && std::string_view("-_0^#").find(format[at]) != std::string_view::npos) ++at;
  if (at < format.size() && (format[at] == 'E' || format[at] == 'O')) ++at;
  return std::min(at + 1, format.size());
}

Value strftime_now(Context& context, Arguments& arguments) {
  static constexpr Signature kSignature{"strftime_now", "format", 1};
  const Bound bound(context, kSignature, arguments);
  const MarkedText& format = bound.string(0);
  const std::tm now = context.now();
  TextBuilder out(context);
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t percent = std::min(format.view().find('%', at), format.size());
    out.append(format, at, percent);
    if (percent == format.size()) break;
    at = directive_end(format.view(), percent);
    const std::string directive(format.view().substr(percent, at - percent));
    // A local time without a zone, to the second.
    if (directive == "%z" || directive == "%Z") continue;
    if (directive == "%f") {
      out.append("000000");
      continue;
    }
    char buffer[256];
    context.budget.step();
    out.append(std::string_view(buffer, std::strftime(buffer, sizeof buffer, directive.c_str(), &now)));
  }
  return out.value();
}

}  // namespace

Value make_function(Context& context, std::string name, NativeFunction function, int depth) {
  return Value(std::shared_ptr<Object>(context.object<Function>(std::move(name), std::move(function), depth)));
}

std::optional<Value> make_global(Context& context, std::string_view name) {
  static constexpr std::pair<std::string_view, Value (*)(Context&, Arguments&)> kGlobals[] = {
      {"range", make_range}, {"dict", make_dict}, {"namespace", make_namespace}, {"cycler", make_cycler},
      {"joiner", make_joiner}, {"raise_exception", raise_exception}, {"strftime_now", strftime_now}};
  for (const auto& [known, function] : kGlobals)
    if (known == name) return make_function(context, std::string(name), function);
  return std::nullopt;
}

}  // namespace colonnade::engine::jinja
