// A model as somebody else stored it, ready to be packed: configuration, and the weights of every path. Owns the
// mapped files; read-only after opening, so thread-safe.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <unordered_map>

#include "engine/base/result.h"
#include "engine/model/config.h"
#include "shard/blob.h"
#include "shard/family.h"
#include "shard/paths.h"
#include "shard/tensor_part.h"
#include "shard/tensor_source.h"

namespace colonnade::shard {

class SourceModel {
 public:
  /// Opens what shard/stored_model.h can read and checks that every tensor which the configuration asks for is there with the
  /// right shape and in a form that is read here. Errors name file, tensor, expected and found.
  static Result<SourceModel> open(const std::filesystem::path& source);

  const engine::ModelConfig& config() const { return config_; }
  const TensorSource& source() const { return *source_; }

  /// Where the numbers of `path` (one of enumerate_paths(config())) come from. Refers to this model and to `path`. With `matrices` those
  /// are read from there: tensors of a plain directory (plain_part(), below).
  PathWeights weights_of(const PathSpec& path, const TensorSource* matrices = nullptr) const;

  /// Where a matrix of a path lies: its tensor, which part of that is a whole matrix, and which window of that the path has. What heads make of
  /// latents is told as the checkpoint has it: rows in its order, nothing transposed.
  TensorPart matrix_part(const PathSpec& path, const MatrixSpec& matrix) const;
  /// Such a part, and the shape of its tensor, in a plain directory of this family, as transformers writes it: another one where an expert's
  /// outputs are rows here and columns there.
  TensorPart plain_part(TensorPart part) const;
  Shape plain_shape(const std::string& tensor) const;
  Window matrix_window(const PathSpec& path, const MatrixSpec& matrix) const;
  /// One of the tensors that the configuration asks for.
  const TensorRows& tensor(const std::string& name) const;

 private:
  Status find_all_tensors();
  Status check_nothing_left() const;
  Status find_layer_tensors(int layer);
  Status find_attention_tensors(int layer);
  Status find_latent_tensors(int layer);
  Status find_expert_tensors(int layer);
  Status add_expert(int layer, int expert, int hidden_dim);
  Status add(const std::string& name, int rows, int cols);
  Status add_shape(const std::string& name, std::initializer_list<int> shape);
  /// The name that the source has for one of ours.
  std::string stored(const std::string& name) const;
  std::string layer_module(int layer, const char* module) const;
  std::string expert_module(int layer, int expert, MatrixRole role) const;
  Status find_embedding_vectors();
  Status read_positions(float* out) const;
  Status read_token_types(float* out) const;

  TensorPart attention_part(int layer, MatrixRole role, std::string (*tensor_of)(const std::string& module)) const;
  bool is_turned(const TensorRows& tensor) const;
  TensorPart expert_part(int layer, int expert, MatrixRole role) const;
  TensorPart neuron_bias_part(const PathSpec& path, VectorRole role) const;
  TensorPart vector_part(const PathSpec& path, VectorRole role) const;
  /// Of latents, and what heads make of them: source_latent.cc.
  bool is_latent(const PathSpec& path, MatrixRole role) const;
  TensorPart latent_part(const PathSpec& path, const MatrixSpec& matrix) const;
  Window latent_window(const PathSpec& path, const MatrixSpec& matrix) const;
  Status read_latent_rows(const TensorRows& source, const PathSpec& path, const MatrixSpec& matrix, std::uint32_t first_row,
                          std::uint32_t n_rows, float* out) const;

  engine::ModelConfig config_;
  TensorNames names_;
  std::string prefix_;        // of all names in the source
  std::string inner_prefix_;  // after "model." in them
  bool renamed_norms_ = false;
  std::unique_ptr<const TensorSource> source_;
  std::unordered_map<std::string, TensorRows> tensors_;  // by full name
};

}  // namespace colonnade::shard
