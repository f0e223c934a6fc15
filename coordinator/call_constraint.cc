#include "coordinator/call_constraint.h"

#include <algorithm>

#include "coordinator/call_grammar.h"
#include "coordinator/constraint_fields.h"
#include "coordinator/reasoned_constraint.h"
#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

constexpr const char* kField = "tool_choice";

/// Grammars are made of the bytes of ordinary tokens; a marker that is a special token has none.
bool can_be_spelled(const ApiBackend& backend) {
  const std::vector<std::string_view> markers = call_markers(backend.chat.format.tools);
  return !markers.empty() && std::none_of(markers.begin(), markers.end(), [&](std::string_view marker) {
    const std::int32_t token = backend.tokenizer->token_id(marker);
    return token >= 0 && backend.tokenizer->is_special(token);
  });
}

}  // namespace

void constrain_calls(RequestFields& fields, const ApiBackend& backend, const ChatRequest& chat, ApiRequest& request) {
  const std::string& form = backend.chat.format.tools;
  if (backend.constraints == nullptr || !can_be_spelled(backend)) {
    return fields.fail(kField, text("tool_choice must be \"none\" or \"auto\": calls cannot be enforced in this model's form (", form, ")"),
                       "unsupported_parameter");
  }
  const std::int32_t end_of_reasoning = reasoning_end_token(fields, kField, backend, request);
  if (!fields.ok()) return;
  const CallRules rules{.tools = chat.input.tools, .function = chat.function, .parallel = chat.parallel_calls};
  const std::string key = text("calls:", form, ":", backend.chat.format.reasoning, ":", chat.function, ":", chat.parallel_calls, ":",
                               rules.tools.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
  const Result<Constraint> constraint =
      backend.constraints->compile(key, [&] { return call_grammar(backend.chat.format, rules); });
  if (!constraint.ok()) return fields.fail(kField, constraint.error().message);
  request.generation.constraint = end_of_reasoning < 0 ? *constraint : after_reasoning(*constraint, end_of_reasoning);
}

}  // namespace colonnade::coordinator
