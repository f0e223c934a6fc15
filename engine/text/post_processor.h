// The post-processor of a tokenizer file: puts tokens such as <s> around the ids of a text.
// Kinds: none, TemplateProcessing.
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

/// From the file's "post_processor".
Result<std::unique_ptr<PostProcessor>> make_post_processor(const Json& part);

}  // namespace colonnade::engine
