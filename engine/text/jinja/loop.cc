#include "engine/text/jinja/loop.h"

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/function.h"
#include "engine/text/jinja/interpreter.h"

namespace colonnade::engine::jinja {

std::string Loop::repr() const { return text("<LoopContext ", at + 1, "/", size(), ">"); }

Value Loop::call(Context&, Arguments& arguments) {
  if (!loop_.recursive) fail("The loop must have the 'recursive' marker to be called recursively.");
  if (arguments.positional.size() != 1 || !arguments.named.empty()) fail("loop() takes one argument");
  if (!scope_) fail("a loop that has ended cannot be called");
  return interpreter_.run_recursive(loop_, scope_, arguments.positional[0], depth_ + 1);
}

bool Loop::changed(Context& context, Values values) {
  if (!registered_) context.clear_at_end(shared_from_this());
  registered_ = true;
  Value now = context.tuple(std::move(values));
  const bool differs = !last_values_ || !equals(context, *last_values_, now);
  last_values_ = std::move(now);
  return differs;
}

void Loop::clear() {
  last_values_.reset();
  end();
}

std::optional<Value> Loop::attribute(Context& context, std::string_view name) {
  const auto number = [](std::size_t value) { return Value::integer(static_cast<std::int64_t>(value)); };
  const auto& all = items_.as_sequence()->items;
  if (name == "index") return number(at + 1);
  if (name == "index0") return number(at);
  if (name == "revindex") return number(size() - at);
  if (name == "revindex0") return number(size() - at - 1);
  if (name == "first") return Value::boolean(at == 0);
  if (name == "last") return Value::boolean(at + 1 >= size());
  if (name == "length") return number(size());
  if (name == "depth") return Value::integer(depth_ + 1);
  if (name == "depth0") return Value::integer(depth_);
  if (name == "previtem") return at > 0 ? all[at - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem") return at + 1 < size() ? all[at + 1] : Value::undefined("there is no next item");
  const auto self = shared_from_this();
  if (name == "cycle") {
    return make_function(context, "cycle", [self](Context&, Arguments& arguments) {
      if (arguments.positional.empty()) fail("no items for cycling given");
      return arguments.positional[self->at % arguments.positional.size()];
    }, Object::depth() + 1);
  }
  if (name == "changed") {
    return make_function(context, "changed", [self](Context& now, Arguments& arguments) {
      return Value::boolean(self->changed(now, std::move(arguments.positional)));
    }, Object::depth() + 1);
  }
  return std::nullopt;
}

}  // namespace colonnade::engine::jinja
