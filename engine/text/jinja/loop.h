// `loop`: where a for statement is.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/context.h"
#include "engine/text/jinja/scope.h"

namespace colonnade::engine::jinja {

class Interpreter;

class Loop : public Object, public std::enable_shared_from_this<Loop> {
 public:
  Loop(Interpreter& interpreter, const ForStatement& loop, std::shared_ptr<Scope> scope, Value items, int depth)
      : Object(items.depth() + 1), interpreter_(interpreter), loop_(loop), scope_(std::move(scope)), items_(std::move(items)), depth_(depth) {}

  std::string type_name() const override { return "LoopContext"; }
  std::string repr() const override;
  bool is_callable() const override { return true; }
  /// loop(items) of a recursive loop.
  Value call(Context& context, Arguments& arguments) override;
  std::optional<Value> attribute(Context& context, std::string_view name) override;
  void clear() override;

  /// loop.changed(values)
  bool changed(Context& context, Values values);

  /// It is over: lets go of the scope, which may come to hold this loop.
  void end() { scope_.reset(); }

  std::size_t at = 0;  // of the current item

 private:
  std::size_t size() const { return items_.as_sequence()->items.size(); }

  Interpreter& interpreter_;
  const ForStatement& loop_;
  std::shared_ptr<Scope> scope_;
  Value items_;
  int depth_;
  bool registered_ = false;
  std::optional<Value> last_values_;
};

}  // namespace colonnade::engine::jinja
