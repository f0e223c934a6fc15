// The tokenizer of a GGUF file: its tokenizer.ggml.* keys as engine/text takes them.
#pragma once

#include "engine/base/result.h"
#include "engine/text/gguf_vocabulary.h"
#include "shard/gguf.h"

namespace colonnade::shard {

/// kNotFound when the header has no tokenizer; kCorrupt names the key that is of another kind than expected.
Result<engine::GgufVocabulary> gguf_vocabulary(const GgufHeader& header);

}  // namespace colonnade::shard
