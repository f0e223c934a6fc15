// The tokenizer of a model: which of its small files says how it tokenizes, read from a directory or kept in a manifest.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"
#include "shard/manifest.h"

namespace colonnade::shard {

/// What a packed model keeps of a GGUF source: its tokenizer.* keys (write_gguf_metadata).
inline constexpr std::string_view kGgufTokenizerFile = "tokenizer.gguf";

/// The file of a directory that its tokenizer is read from: tokenizer.json, else tokenizer.model, else tiktoken.model or a
/// *.tiktoken, else vocab.txt. "" when there is none.
std::string tokenizer_file_name(const std::filesystem::path& directory);

/// From the files of a model (a manifest's source_files, or what lies in a directory). kNotFound when none of them is a
/// tokenizer.
Result<std::unique_ptr<engine::Tokenizer>> load_tokenizer(std::span<const SourceFile> files);

/// From a Hugging Face directory, a packed model, a GGUF file, or a file of the kinds above. Errors name the path.
Result<std::unique_ptr<engine::Tokenizer>> open_tokenizer(const std::filesystem::path& model);

}  // namespace colonnade::shard
