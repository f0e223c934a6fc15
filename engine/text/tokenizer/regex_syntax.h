// Patterns in the syntax of Oniguruma or Rust, written anew in that of PCRE2 with the same meaning.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/text/tokenizer/regex.h"

namespace colonnade::engine {

/// For PCRE2 with UTF and UCP. kUnsupported: what has no counterpart, or could take unbounded time (recursion).
/// What is not valid in either syntax is left for PCRE2 to refuse.
Result<std::string> to_pcre_syntax(std::string_view pattern, RegexDialect dialect);

}  // namespace colonnade::engine
