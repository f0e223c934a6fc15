#include "shard/source_model.h"

#include "engine/base/format_text.h"
#include "shard/hf_config.h"
#include "shard/mapped_file.h"

namespace colonnade::shard {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 16u << 20;

std::string weight(const std::string& module) { return module + ".weight"; }
std::string bias(const std::string& module) { return module + ".bias"; }

}  // namespace

Result<SourceModel> SourceModel::open(const std::filesystem::path& directory) {
  const auto file = directory / "config.json";
  COLONNADE_ASSIGN(const std::string content, read_small_file(file, kMaxConfigBytes));
  SourceModel model;
  COLONNADE_ASSIGN(model.config_, parse_model_config(content, file.string()));
  const Family* family = find_family(model.config_.family);
  COLONNADE_CHECK(family != nullptr, "a configuration was read for a family that is not listed");
  model.names_ = family->names;
  COLONNADE_TRY(check_weight_layout(content, file.string()));
  COLONNADE_ASSIGN(model.checkpoint_, Checkpoint::open(directory));
  if (const Status status = model.find_all_tensors(); !status.ok())
    return Error{status.error().code, text(directory.string(), ": ", status.error().message)};
  return model;
}

Status SourceModel::add(const std::string& name, int rows, int cols) {
  COLONNADE_ASSIGN(const TensorRows found, find_tensor(checkpoint_, name, static_cast<std::uint64_t>(rows),
                                                       static_cast<std::uint64_t>(cols)));
  tensors_.emplace(name, found);
  return {};
}

std::string SourceModel::layer_module(int layer, const char* module) const {
  return text(names_.layer, layer, ".", module);
}

std::string SourceModel::expert_module(int layer, int expert, MatrixRole role) const {
  const bool mixture = config_.layers[static_cast<std::size_t>(layer)].has_router();
  const auto pick = [&](const char* dense, const char* of_expert) {
    return mixture ? text(layer_module(layer, names_.experts), ".", expert, ".", of_expert)
                   : text(layer_module(layer, names_.dense), ".", dense);
  };
  switch (role) {
    case MatrixRole::kGate: return pick(names_.dense_gate, names_.expert_gate);
    case MatrixRole::kUp: return pick(names_.dense_up, names_.expert_up);
    default: return pick(names_.dense_down, names_.expert_down);
  }
}

Status SourceModel::find_all_tensors() {
  COLONNADE_TRY(add(weight(names_.embedding), config_.vocab_size, config_.dim));
  for (int layer = 0; layer < config_.n_layers; ++layer) COLONNADE_TRY(find_layer_tensors(layer));
  COLONNADE_TRY(add(weight(names_.final_norm), 0, config_.dim));
  if (!config_.tied_embeddings) COLONNADE_TRY(add(weight(names_.head), config_.vocab_size, config_.dim));
  return {};
}

Status SourceModel::find_layer_tensors(int layer) {
  const int dim = config_.dim;
  const int query_width = config_.n_heads * config_.head_dim;
  const int kv_width = config_.n_kv_heads * config_.head_dim;
  const auto module = [&](const char* name) { return layer_module(layer, name); };
  COLONNADE_TRY(add(weight(module(names_.attention_norm)), 0, dim));
  COLONNADE_TRY(add(weight(module(names_.query)), query_width, dim));
  COLONNADE_TRY(add(weight(module(names_.key)), kv_width, dim));
  COLONNADE_TRY(add(weight(module(names_.value)), kv_width, dim));
  COLONNADE_TRY(add(weight(module(names_.output)), dim, query_width));
  if (config_.qkv_bias) {
    COLONNADE_TRY(add(bias(module(names_.query)), 0, query_width));
    COLONNADE_TRY(add(bias(module(names_.key)), 0, kv_width));
    COLONNADE_TRY(add(bias(module(names_.value)), 0, kv_width));
  }
  if (config_.output_bias) COLONNADE_TRY(add(bias(module(names_.output)), 0, dim));
  if (config_.qk_norm) {
    COLONNADE_TRY(add(weight(module(names_.query_norm)), 0, config_.head_dim));
    COLONNADE_TRY(add(weight(module(names_.key_norm)), 0, config_.head_dim));
  }
  COLONNADE_TRY(add(weight(module(names_.feed_forward_norm)), 0, dim));
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  if (shape.has_router()) COLONNADE_TRY(add(weight(module(names_.router)), shape.n_experts, dim));
  for (int expert = 0; expert < shape.n_experts; ++expert) {
    COLONNADE_TRY(add(weight(expert_module(layer, expert, MatrixRole::kGate)), shape.hidden_dim, dim));
    COLONNADE_TRY(add(weight(expert_module(layer, expert, MatrixRole::kUp)), shape.hidden_dim, dim));
    COLONNADE_TRY(add(weight(expert_module(layer, expert, MatrixRole::kDown)), dim, shape.hidden_dim));
  }
  return {};
}

const TensorRows& SourceModel::tensor(const std::string& name) const {
  const auto at = tensors_.find(name);
  COLONNADE_CHECK(at != tensors_.end(), "a path needs a tensor that was not looked up: " + name);
  return at->second;
}

std::string SourceModel::matrix_name(const PathSpec& path, MatrixRole role) const {
  switch (role) {
    case MatrixRole::kKey: return weight(layer_module(path.layer, names_.key));
    case MatrixRole::kValue: return weight(layer_module(path.layer, names_.value));
    case MatrixRole::kQuery: return weight(layer_module(path.layer, names_.query));
    case MatrixRole::kOutput: return weight(layer_module(path.layer, names_.output));
    case MatrixRole::kVocabulary: return weight(path.kind == PathKind::kHead ? names_.head : names_.embedding);
    default: return weight(expert_module(path.layer, path.expert, role));
  }
}

std::string SourceModel::vector_name(const PathSpec& path, VectorRole role) const {
  const auto module = [&](const char* name) { return layer_module(path.layer, name); };
  switch (role) {
    case VectorRole::kAttentionNorm: return weight(module(names_.attention_norm));
    case VectorRole::kFeedForwardNorm: return weight(module(names_.feed_forward_norm));
    case VectorRole::kQueryNorm: return weight(module(names_.query_norm));
    case VectorRole::kKeyNorm: return weight(module(names_.key_norm));
    case VectorRole::kOutputBias: return bias(module(names_.output));
    case VectorRole::kRouter: return weight(module(names_.router));
    case VectorRole::kFinalNorm: return weight(names_.final_norm);
    case VectorRole::kQueryBias: return bias(module(names_.query));
    case VectorRole::kKeyBias: return bias(module(names_.key));
    case VectorRole::kValueBias: return bias(module(names_.value));
  }
  COLONNADE_CHECK(false, "a vector role that has no name");
}

Window SourceModel::matrix_window(const PathSpec& path, const MatrixSpec& matrix) const {
  const auto u = [](int value) { return static_cast<std::uint64_t>(value); };
  Window window{.first_row = 0, .n_rows = matrix.rows, .first_col = 0, .n_cols = matrix.cols};
  switch (matrix.role) {
    case MatrixRole::kKey:
    case MatrixRole::kValue: window.first_row = u(path.index) * u(config_.head_dim); break;
    case MatrixRole::kQuery: window.first_row = u(path.first + matrix.part) * u(config_.head_dim); break;
    case MatrixRole::kOutput: window.first_col = u(path.first + matrix.part) * u(config_.head_dim); break;
    case MatrixRole::kDown: window.first_col = u(path.first); break;
    default: window.first_row = u(path.first); break;
  }
  return window;
}

PathWeights SourceModel::weights_of(const PathSpec& path) const {
  PathWeights weights;
  weights.rows = [this, &path](const MatrixSpec& matrix, std::uint32_t first_row, std::uint32_t n_rows, float* out) {
    Window window = matrix_window(path, matrix);
    window.first_row += first_row;
    window.n_rows = n_rows;
    return tensor(matrix_name(path, matrix.role)).read(window, out, matrix.cols);
  };
  weights.vector = [this, &path](const VectorSpec& vector, float* out) {
    const TensorRows& source = tensor(vector_name(path, vector.role));
    if (vector.role == VectorRole::kRouter)
      return source.read({0, source.rows(), 0, source.cols()}, out, source.cols());
    std::uint64_t first = 0;
    const auto head_dim = static_cast<std::uint64_t>(config_.head_dim);
    if (vector.role == VectorRole::kQueryBias) first = static_cast<std::uint64_t>(path.first + vector.part) * head_dim;
    if (vector.role == VectorRole::kKeyBias || vector.role == VectorRole::kValueBias)
      first = static_cast<std::uint64_t>(path.index) * head_dim;
    return source.read({0, 1, first, vector.count}, out, vector.count);
  };
  return weights;
}

}  // namespace colonnade::shard
