// Grammars of tool calls: what a model may write that must call a function, in its own form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/chat_output/chat_output.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::coordinator {

/// The tools (as requests have them) that may be called: `function`, or any when it is "".
struct CallRules {
  OrderedJson tools;
  std::string function;
  bool parallel = true;  // more than one call
};

/// Texts of at least one call whose arguments satisfy the function's schema, maybe behind reasoning, in a form that can be
/// spelled in ordinary tokens. kUnsupported: another form, or a schema that cannot be said by a grammar (named by its tool).
Result<engine::Grammar> call_grammar(const engine::OutputFormat& format, const CallRules& rules);

/// The markers in those texts. None: the form has no grammar.
std::vector<std::string_view> call_markers(std::string_view tool_format);

}  // namespace colonnade::coordinator
