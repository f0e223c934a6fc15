// The pre-tokenizer of a tokenizer file: normalised text to words that the model splits each on its own.
// Kinds: none (the whole text is one word).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// Immutable, thread-safe.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Words in order, as parts of `text`; empty words are left out.
  virtual std::vector<std::string_view> split(std::string_view text) const = 0;
};

/// From the file's "pre_tokenizer".
Result<std::unique_ptr<PreTokenizer>> make_pre_tokenizer(const Json& part);

}  // namespace colonnade::engine
