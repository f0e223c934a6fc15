// The post-processor of a tokenizer: puts tokens such as <s> around the ids of a text.
// Kinds: none, BertProcessing, ByteLevel (changes no ids), RobertaProcessing, Sequence, TemplateProcessing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// Immutable, thread-safe.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  virtual std::vector<std::int32_t> apply(std::vector<std::int32_t> ids) const = 0;
};
using PostProcessorSteps = std::vector<std::unique_ptr<PostProcessor>>;

/// From the file's "post_processor".
Result<PostProcessorSteps> make_post_processor(const Json& part);

/// Ids before and after those of the text.
std::unique_ptr<PostProcessor> make_surrounding(std::vector<std::int32_t> before, std::vector<std::int32_t> after);

}  // namespace colonnade::engine
