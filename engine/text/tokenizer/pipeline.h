// A tokenizer put together from parts: added tokens → normalizer → added tokens that are normalised → pre-tokenizer →
// model → post-processor, and the decoder for the way back. Every kind of file becomes one of these.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer/added_tokens.h"
#include "engine/text/tokenizer/normalizer.h"
#include "engine/text/tokenizer/post_processor.h"
#include "engine/text/tokenizer/pre_tokenizer.h"
#include "engine/text/tokenizer/token_decoder.h"
#include "engine/text/tokenizer/token_model.h"

namespace colonnade::engine {

struct Pipeline {
  NormalizerSteps normalizer;
  PreTokenizerSteps pre_tokenizer;
  std::unique_ptr<TokenModel> model;
  PostProcessorSteps post_processor;
  DecoderSteps decoder;
  Vocabulary vocabulary;
  std::vector<AddedToken> raw_tokens;         // searched for in the text as it came
  std::vector<AddedToken> normalized_tokens;  // searched for, as they are here, in the normalised text
};

/// `file` names the source in messages. kCorrupt when ids leave gaps that would make a table of gigabytes.
Result<std::unique_ptr<Tokenizer>> make_tokenizer(Pipeline pipeline, std::string_view file);

}  // namespace colonnade::engine
