// colonnade bench tokenizer: text to tokens and back, in MB a second of one core.
#pragma once

#include <string>

#include "engine/base/result.h"

namespace colonnade::cli {

/// Prints one line of a table (Markdown) to stdout. `text_file` is a file of text; the whole of it is one encode() and one
/// decode(), repeated `repetitions` times after a first one that is not counted; the best counts.
Status bench_tokenizer(const std::string& model, const std::string& text_file, int repetitions);

}  // namespace colonnade::cli
