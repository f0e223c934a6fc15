// Macros, and the bodies of call blocks.
#pragma once

#include <memory>
#include <string>

#include "engine/text/jinja/interpreter.h"

namespace colonnade::engine::jinja {

class Macro : public Object {
 public:
  Macro(Interpreter& interpreter, const MacroDefinition& definition, std::shared_ptr<Scope> scope)
      : interpreter_(interpreter), definition_(definition), scope_(std::move(scope)) {}

  std::string type_name() const override { return "Macro"; }
  std::string repr() const override {
    return definition_.name.empty() ? "<Macro anonymous>" : "<Macro '" + definition_.name + "'>";
  }
  bool is_callable() const override { return true; }
  Value call(Context&, Arguments& arguments) override { return interpreter_.call_macro(definition_, scope_, arguments); }
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  void clear() override {
    if (scope_) scope_->clear();
    scope_.reset();
  }

 private:
  Interpreter& interpreter_;
  const MacroDefinition& definition_;
  std::shared_ptr<Scope> scope_;  // where it was defined
};

inline std::optional<Value> Macro::attribute(Context& context, std::string_view name) {
  if (name == "name") return definition_.name.empty() ? Value() : context.string(definition_.name);
  if (name == "arguments") {
    Values names;
    for (const auto& parameter : definition_.parameters) names.push_back(context.string(parameter.spelling));
    return context.tuple(std::move(names));
  }
  if (name == "caller") return Value::boolean(definition_.uses_caller);
  if (name == "catch_kwargs") return Value::boolean(definition_.uses_kwargs);
  if (name == "catch_varargs") return Value::boolean(definition_.uses_varargs);
  return std::nullopt;
}

}  // namespace colonnade::engine::jinja
