// Tokenizers for the tests of this folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/text/tokenizer.h"

namespace colonnade::tests {

std::string read_text(const std::filesystem::path& path);

/// tests/data/tokenizers
std::filesystem::path tokenizer_data();

/// Fails the test when the file cannot be loaded.
std::unique_ptr<engine::Tokenizer> load_tokenizer(const std::filesystem::path& path);

/// A tokenizer.json with byte fallback, the merges of "hello", and the added tokens <unk> 0, <s> 1, </s> 2, <tag> (not
/// special).
std::string small_tokenizer_json();

}  // namespace colonnade::tests
