// The tensors of a GGUF model by the names that Hugging Face transformers gives them: experts out of their stacks, queries and
// keys in the order of transformers' rotation.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "shard/gguf_architecture.h"
#include "shard/gguf_file.h"
#include "shard/tensor_source.h"

namespace colonnade::shard {

class GgufTensors final : public TensorSource {
 public:
  /// `head_dim` and `n_layers` are the model's. kUnsupported names a tensor that the architecture does not have: leaving it out
  /// would give another model.
  static Result<std::unique_ptr<const GgufTensors>> make(GgufFiles files, int n_layers, int head_dim);

  Result<TensorRows> open(const std::string& name) const override;
  std::vector<std::string> names() const override;
  bool holds_only_the_model() const override { return true; }
  std::uint64_t bytes() const override { return files_.bytes(); }

 private:
  /// Where a tensor is: all of `tensor`, or slice `slice` of its first dimension.
  struct Place {
    const GgufPlacedTensor* tensor = nullptr;
    std::uint64_t slice = kWhole;
    bool rotated = false;  // rows are in the other order
    const GgufPlacedTensor* joined = nullptr;  // the tensor is the first of two that transformers has as one
    bool of_heads = false;                     // these are the plain parts of keys, transposed, and values of each head
  };
  static constexpr std::uint64_t kWhole = ~std::uint64_t{0};

  GgufTensors(GgufFiles files, const GgufArchitecture& architecture, const TensorNames& names, int head_dim)
      : files_(std::move(files)), architecture_(architecture), names_(names), head_dim_(static_cast<std::uint64_t>(head_dim)) {}
  Status place_all(int n_layers);
  bool place_in_layer(const GgufPlacedTensor& tensor, const std::string& layer, const std::string& module, const std::string& ending);
  bool place_stack(const GgufPlacedTensor& tensor, const std::string& layer, std::string_view matrix, const std::string& ending);
  Result<TensorRows> open_heads(const std::string& name, const Place& place) const;
  Result<TensorRows> open_joined(const std::string& name, const Place& place) const;
  bool place_feed_forward(const GgufPlacedTensor& tensor, const std::string& layer, const std::string& module, const std::string& ending);

  GgufFiles files_;
  const GgufArchitecture& architecture_;
  const TensorNames& names_;
  std::uint64_t head_dim_;
  std::map<std::string, Place, std::less<>> places_;  // by the name that transformers gives
};

}  // namespace colonnade::shard
