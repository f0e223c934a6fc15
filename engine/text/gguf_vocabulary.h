// The vocabulary of a GGUF file as engine/text takes it: the values of its tokenizer.ggml.* keys. Who reads the file fills
// it in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"

namespace colonnade::engine {

struct GgufVocabulary {
  std::string model;               // tokenizer.ggml.model: gpt2, llama, bert, t5
  std::string pre;                 // …pre: how gpt2 splits text; "" when the key is missing
  std::vector<std::string> tokens;
  std::vector<float> scores;       // empty, or one for each token
  std::vector<std::int32_t> types; // empty, or one for each token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges; // gpt2: "a b"
  std::string charsmap;            // …precompiled_charsmap
  std::optional<std::int32_t> bos, eos, unknown, separator;  // …bos_token_id and so on
  std::optional<bool> add_bos, add_eos, add_separator;       // …add_bos_token
  std::optional<bool> add_space_prefix, remove_extra_whitespaces;
};

/// Text as the makers of the model tokenize it. kUnsupported names the model or pre-tokenizer that is not known, kCorrupt
/// the key that is wrong.
Result<std::unique_ptr<Tokenizer>> load_gguf_tokenizer(GgufVocabulary vocabulary);

}  // namespace colonnade::engine
