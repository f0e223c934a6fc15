// How the pre-tokenizers that GGUF files name split text.
#pragma once

#include <span>
#include <string_view>

namespace colonnade::engine {

struct GgufPreTokenizer {
  std::span<const std::string_view> patterns;  // one after another; what none matches stays a piece of its own
  bool ignore_merges = false;                  // a piece that is a token becomes it
  bool add_bos = false;                        // where the file does not say
};

/// nullptr when the name is not known. "" is what files without the key mean.
const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);

}  // namespace colonnade::engine
