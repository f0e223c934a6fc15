// The operators of expressions, with Python's arithmetic.
#pragma once

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

Value apply_operation(Context& context, Operation operation, const Value& left, const Value& right);
Value apply_sign(Context& context, Operation operation, const Value& operand);
bool compare_values(Context& context, Comparison comparison, const Value& left, const Value& right);

}  // namespace colonnade::engine::jinja
