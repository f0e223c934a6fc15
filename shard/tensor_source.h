// The tensors of a checkpoint by the names of Hugging Face transformers, whatever the checkpoint is: safetensors in any layout,
// GGUF. Whoever packs, prunes or inspects a model reads its weights through this and knows nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/tensor_rows.h"

namespace colonnade::shard {

/// Owns the (mapped) files. Read-only after opening, so thread-safe; what it opens must not outlive it.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// The weight or bias called `name` ("model.norm.weight") with the shape that it has. kNotFound; kCorrupt when its parts
  /// disagree; kUnsupported names a form that is not read here.
  virtual Result<TensorRows> open(const std::string& name) const = 0;

  /// Names that open() knows, sorted.
  virtual std::vector<std::string> names() const = 0;

  /// Whether a tensor that is not asked for shows that the model is another one than its configuration says. Directories hold
  /// all kinds of things; GGUF files only what is computed with.
  virtual bool holds_only_the_model() const { return false; }

  /// Of all files.
  virtual std::uint64_t bytes() const = 0;

  /// open(), and kCorrupt when the shape is another than `expected`.
  Result<TensorRows> find(const std::string& name, const Shape& expected) const;
};

}  // namespace colonnade::shard
