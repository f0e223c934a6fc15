#include "engine/text/jinja/methods.h"

#include <algorithm>
#include <iterator>

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"

namespace colonnade::engine::jinja {
namespace {

constexpr std::string_view kListChanges[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
constexpr std::string_view kDictChanges[] = {"clear", "pop", "popitem", "setdefault", "update"};

const Method* find_in(std::span<const Method> methods, std::string_view name) {
  const auto found = std::find_if(methods.begin(), methods.end(), [&](const Method& one) { return one.signature.name == name; });
  return found != methods.end() ? &*found : nullptr;
}

const Method* find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kString: {
      const Method* change = find_in(text_change_methods(), name);
      return change != nullptr ? change : find_in(text_search_methods(), name);
    }
    case Kind::kSequence: {
      const auto type = self.as_sequence()->type;
      if (type == Sequence::Type::kDictKeys || type == Sequence::Type::kDictValues || type == Sequence::Type::kDictItems) return nullptr;
      if (name == "copy" && type != Sequence::Type::kList) return nullptr;
      return find_in(sequence_methods(), name);
    }
    case Kind::kDict: return find_in(dict_methods(), name);
    case Kind::kFloat: return find_in(float_methods(), name);
    default: return nullptr;
  }
}

class BoundMethod : public Object {
 public:
  BoundMethod(Value self, const Method& method) : Object(self.depth() + 1), self_(std::move(self)), method_(method) {}

  std::string type_name() const override { return "builtin_function_or_method"; }
  std::string repr() const override {
    return text("<built-in method ", method_.signature.name, " of ", jinja::type_name(self_), " object>");
  }
  bool is_callable() const override { return true; }
  Value call(Context& context, Arguments& arguments) override {
    const Bound bound(context, method_.signature, arguments);
    return method_.apply(context, self_, bound);
  }

 private:
  Value self_;
  const Method& method_;
};

}  // namespace

MethodState method_state(const Value& self, std::string_view name) {
  if (find_method(self, name) != nullptr) return MethodState::kCallable;
  const auto listed = [&](const auto& names) { return std::find(std::begin(names), std::end(names), name) != std::end(names); };
  if (self.is(Kind::kSequence) && self.as_sequence()->type == Sequence::Type::kList && listed(kListChanges)) return MethodState::kUnsafe;
  if (self.is(Kind::kDict) && listed(kDictChanges)) return MethodState::kUnsafe;
  return MethodState::kNone;
}

Value bind_method(Context& context, const Value& self, std::string_view name) {
  return Value(std::shared_ptr<Object>(context.object<BoundMethod>(self, *find_method(self, name))));
}

}  // namespace colonnade::engine::jinja
