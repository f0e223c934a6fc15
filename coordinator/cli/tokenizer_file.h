// The tokenizer of what a user names: a Hugging Face directory, a packed model, a GGUF file or a tokenizer's own file.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace colonnade::cli {

Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model);

/// Standard input to its end.
Result<std::string> read_standard_input();

}  // namespace colonnade::cli
