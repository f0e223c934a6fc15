// colonnade bench grammar: how long constrained output takes for each token, besides the model.
#pragma once

#include <filesystem>
#include <string>

#include "engine/base/result.h"

namespace colonnade::cli {

/// Prints a table ("md", "csv" or "json") for built-in grammars and schemas over the vocabulary of a tokenizer: microseconds for
/// the mask of a token and for following it, the first time, with other texts of the grammar, and with the same ones again.
Status bench_grammar(const std::filesystem::path& tokenizer, const std::string& format);

}  // namespace colonnade::cli
