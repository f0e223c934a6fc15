// The decoder of a tokenizer file: vocabulary spellings back to the bytes of the text, one token after another, so
// that streaming and decoding a whole list are the same computation.
// Kinds: none (tokens joined by spaces), Sequence, Replace (with a String pattern), ByteFallback, Fuse, Strip.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// One step of a decoder, and what it remembers of the tokens before. One object serves one list of tokens.
class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  /// What the piece of the next token becomes.
  virtual std::string push(std::string piece) = 0;
  /// A copy that remembers nothing yet.
  virtual std::unique_ptr<DecoderStep> fresh() const = 0;
};

using DecoderSteps = std::vector<std::unique_ptr<DecoderStep>>;

/// From the file's "decoder".
Result<DecoderSteps> make_decoder(const Json& part);

}  // namespace colonnade::engine
