#include "engine/text/jinja/budget.h"

#include "engine/base/format_text.h"
#include "engine/text/jinja/error.h"

namespace colonnade::engine::jinja {

void Budget::fail_steps() const {
  fail(text("the template takes more than the limit of ", limits_.steps, " steps"), ErrorCode::kExhausted);
}

void Budget::fail_bytes() const {
  fail(text("the template's values take more than the limit of ", limits_.live_bytes, " bytes"), ErrorCode::kExhausted);
}

void Budget::fail_depth() const {
  fail(text("calls, expressions or values are nested deeper than the limit of ", limits_.depth, " levels"), ErrorCode::kExhausted);
}

}  // namespace colonnade::engine::jinja
