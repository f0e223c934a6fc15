#include "shard/source_model.h"

#include <utility>

#include "engine/base/format_text.h"
#include "shard/hf_config.h"
#include "shard/pooling.h"
#include "shard/stored_model.h"

namespace colonnade::shard {
namespace {

std::string weight(const std::string& module) { return module + ".weight"; }
std::string bias(const std::string& module) { return module + ".bias"; }

bool is_norm(VectorRole role) {
  return role == VectorRole::kAttentionNorm || role == VectorRole::kFeedForwardNorm || role == VectorRole::kQueryNorm ||
         role == VectorRole::kKeyNorm || role == VectorRole::kFinalNorm || role == VectorRole::kAttentionPostNorm ||
         role == VectorRole::kFeedForwardPostNorm;
}

}  // namespace

Result<SourceModel> SourceModel::open(const std::filesystem::path& source) {
  COLONNADE_ASSIGN(const std::string content, read_stored_config(source));
  SourceModel model;
  COLONNADE_ASSIGN(model.config_, parse_model_config(content, stored_config_name(source)));
  const Family* family = find_family(model.config_.family);
  COLONNADE_CHECK(family != nullptr, "a configuration was read for a family that is not listed");
  model.names_ = family->names;
  if (model.config_.encoder) COLONNADE_TRY(read_pooling(source, model.config_));
  model.config_.output_heads = wide_output_heads(model.config_);
  COLONNADE_ASSIGN(model.source_, open_stored_tensors(source, content));
  const auto has_embedding = [&] { return model.source_->open(model.stored(weight(model.names_.embedding))).ok(); };
  if (!has_embedding()) {
    model.prefix_ = model.names_.prefix;
    if (!has_embedding()) {
      model.prefix_.clear();
      model.inner_prefix_ = model.names_.inner_prefix;
      if (!has_embedding()) model.inner_prefix_.clear();
    }
  }
  if (model.names_.embedding_norm != nullptr && model.names_.renamed_norm[0] != '\0')
    model.renamed_norms_ = model.source_->open(model.prefix_ + model.names_.embedding_norm + ".gamma").ok();
  Status status = model.find_all_tensors();
  if (status.ok()) status = model.check_nothing_left();
  if (!status.ok())
    return Error{status.error().code, text(source.string(), ": ", status.error().message)};
  return model;
}

Status SourceModel::add(const std::string& name, int rows, int cols) {
  return rows > 0 ? add_shape(name, {rows, cols}) : add_shape(name, {cols});
}

Status SourceModel::add_shape(const std::string& name, std::initializer_list<int> shape) {
  COLONNADE_ASSIGN(TensorRows found, source_->find(stored(name), Shape(shape.begin(), shape.end())));
  tensors_.emplace(name, std::move(found));
  return {};
}

std::string SourceModel::stored(const std::string& name) const {
  constexpr std::string_view kOuter = "model.";
  if (!inner_prefix_.empty() && name.starts_with(kOuter)) return text(kOuter, inner_prefix_, name.substr(kOuter.size()));
  if (renamed_norms_) {
    for (const auto& [ours, theirs] : {std::pair(".weight", ".gamma"), {".bias", ".beta"}})
      if (name.ends_with(std::string(names_.renamed_norm) + ours))
        return text(prefix_, name.substr(0, name.size() - std::string_view(ours).size()), theirs);
  }
  return prefix_ + name;
}

std::string SourceModel::layer_module(int layer, const char* module) const {
  return text(names_.layer, layer, ".", module);
}

std::string SourceModel::expert_module(int layer, int expert, MatrixRole role) const {
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  const auto pick = [&](const char* dense, const char* of_expert) {
    if (shape.has_shared() && expert == shape.shared_expert())
      return text(layer_module(layer, names_.shared_expert), ".", of_expert);
    return shape.has_router() ? text(layer_module(layer, names_.experts), ".", expert, ".", of_expert)
           : names_.dense[0] == '\0' ? layer_module(layer, dense)
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
  if (config_.position_embeddings) COLONNADE_TRY(find_embedding_vectors());
  if (config_.encoder) return {};
  COLONNADE_TRY(add(weight(names_.final_norm), 0, config_.dim));
  if (!config_.tied_embeddings) COLONNADE_TRY(add(weight(names_.head), config_.vocab_size, config_.dim));
  return {};
}

Status SourceModel::find_embedding_vectors() {
  COLONNADE_TRY(add(weight(names_.positions), config_.max_context_tokens, config_.dim));
  COLONNADE_TRY(add(weight(names_.embedding_norm), 0, config_.dim));
  COLONNADE_TRY(add(bias(names_.embedding_norm), 0, config_.dim));
  const std::string types = weight(names_.token_type);
  COLONNADE_ASSIGN(TensorRows found, source_->open(stored(types)));
  if (found.rows() < static_cast<std::uint64_t>(config_.n_token_types) || found.cols() != static_cast<std::uint64_t>(config_.dim))
    return Error{ErrorCode::kCorrupt, text("tensor ", found.name(), " in ", found.file(), ": expected ", config_.n_token_types, " rows or more of ",
                                           config_.dim, ", found shape ", shape_text(found.shape()))};
  tensors_.emplace(types, std::move(found));
  return {};
}

Status SourceModel::check_nothing_left() const {
  if (!source_->holds_only_the_model()) return {};
  for (const std::string& name : source_->names())
    if (!name.starts_with(prefix_) || !tensors_.contains(name.substr(prefix_.size())))
      return Error{ErrorCode::kUnsupported, text("tensor ", name, " is none that the family ", config_.family, " has here")};
  return {};
}

Status SourceModel::find_layer_tensors(int layer) {
  const auto module = [&](const char* name) { return layer_module(layer, name); };
  COLONNADE_TRY(add(weight(module(names_.attention_norm)), 0, config_.dim));
  if (config_.layer_norms) {
    COLONNADE_TRY(add(bias(module(names_.attention_norm)), 0, config_.dim));
    COLONNADE_TRY(add(bias(module(names_.feed_forward_norm)), 0, config_.dim));
  }
  COLONNADE_TRY(config_.latent.used() ? find_latent_tensors(layer) : find_attention_tensors(layer));
  if (config_.post_norms) {
    COLONNADE_TRY(add(weight(module(names_.attention_post_norm)), 0, config_.dim));
    COLONNADE_TRY(add(weight(module(names_.feed_forward_post_norm)), 0, config_.dim));
  }
  COLONNADE_TRY(add(weight(module(names_.feed_forward_norm)), 0, config_.dim));
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  if (shape.has_router()) {
    COLONNADE_TRY(add(weight(module(names_.router)), shape.n_experts, config_.dim));
    if (config_.router.logit_bias) COLONNADE_TRY(add(bias(module(names_.router)), 0, shape.n_experts));
    if (config_.router.correction_bias) COLONNADE_TRY(add(module(names_.router_bias), 0, shape.n_experts));
  }
  if (shape.shared_gate) COLONNADE_TRY(add(weight(module(names_.shared_gate)), 1, config_.dim));
  if (shape.has_shared()) COLONNADE_TRY(add_expert(layer, shape.shared_expert(), shape.shared_hidden_dim));
  return find_expert_tensors(layer);
}

Status SourceModel::find_attention_tensors(int layer) {
  const int dim = config_.dim;
  const int query_width = config_.n_heads * config_.head_dim;
  const int kv_width = config_.n_kv_heads * config_.head_dim;
  const auto module = [&](const char* name) { return layer_module(layer, name); };
  if (names_.query_key_value != nullptr) {
    COLONNADE_TRY(add(weight(module(names_.query_key_value)), query_width + 2 * kv_width, dim));
    if (config_.qkv_bias) COLONNADE_TRY(add(bias(module(names_.query_key_value)), 0, query_width + 2 * kv_width));
  } else {
    for (const auto& [name, rows] : {std::pair(names_.query, query_width), {names_.key, kv_width}, {names_.value, kv_width}}) {
      COLONNADE_TRY(add(weight(module(name)), rows, dim));
      if (config_.qkv_bias) COLONNADE_TRY(add(bias(module(name)), 0, rows));
    }
  }
  COLONNADE_TRY(add(weight(module(names_.output)), dim, query_width));
  if (config_.output_bias) COLONNADE_TRY(add(bias(module(names_.output)), 0, dim));
  if (config_.attention_sinks) COLONNADE_TRY(add(module(names_.sinks), 0, config_.n_heads));
  if (config_.qk_norm) {
    COLONNADE_TRY(add(weight(module(names_.query_norm)), 0, config_.query_norm_dim()));
    COLONNADE_TRY(add(weight(module(names_.key_norm)), 0, config_.key_norm_dim()));
  }
  return {};
}

Status SourceModel::find_expert_tensors(int layer) {
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  const StackedExperts& stacked = names_.stacked;
  const int dim = config_.dim, hidden_dim = shape.hidden_dim;
  if (shape.has_router() && stacked.gate_up != nullptr) {
    const auto add_stacked = [&](const char* name, int outputs, int inputs) -> Status {
      const std::string full = layer_module(layer, name);
      COLONNADE_ASSIGN(const TensorRows found, source_->open(stored(full)));
      const bool transposed = stacked.transposed && !found.form().outputs_first;
      return add_shape(full, {shape.n_experts, transposed ? inputs : outputs, transposed ? outputs : inputs});
    };
    COLONNADE_TRY(add_stacked(stacked.gate_up, 2 * hidden_dim, dim));
    if (config_.neuron_bias) {
      COLONNADE_TRY(add(layer_module(layer, stacked.gate_up_bias), shape.n_experts, 2 * hidden_dim));
      COLONNADE_TRY(add(layer_module(layer, stacked.down_bias), shape.n_experts, dim));
    }
    return add_stacked(stacked.down, dim, hidden_dim);
  }
  if (!shape.has_router() && names_.dense_gate_up != nullptr) {
    COLONNADE_TRY(add(weight(layer_module(layer, names_.dense_gate_up)), 2 * hidden_dim, dim));
    return add(weight(expert_module(layer, 0, MatrixRole::kDown)), dim, hidden_dim);
  }
  for (int expert = 0; expert < shape.n_experts; ++expert) COLONNADE_TRY(add_expert(layer, expert, hidden_dim));
  return {};
}

Status SourceModel::add_expert(int layer, int expert, int hidden_dim) {
  COLONNADE_TRY(add(weight(expert_module(layer, expert, MatrixRole::kGate)), hidden_dim, config_.dim));
  if (config_.gated()) COLONNADE_TRY(add(weight(expert_module(layer, expert, MatrixRole::kUp)), hidden_dim, config_.dim));
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  if (config_.neuron_bias && !(shape.has_shared() && expert == shape.shared_expert())) {
    COLONNADE_TRY(add(bias(expert_module(layer, expert, MatrixRole::kGate)), 0, hidden_dim));
    if (config_.gated()) COLONNADE_TRY(add(bias(expert_module(layer, expert, MatrixRole::kUp)), 0, hidden_dim));
    COLONNADE_TRY(add(bias(expert_module(layer, expert, MatrixRole::kDown)), 0, config_.dim));
  }
  return add(weight(expert_module(layer, expert, MatrixRole::kDown)), config_.dim, hidden_dim);
}

const TensorRows& SourceModel::tensor(const std::string& name) const {
  const auto at = tensors_.find(name);
  COLONNADE_CHECK(at != tensors_.end(), "a path needs a tensor that was not looked up: " + name);
  return at->second;
}

TensorPart SourceModel::attention_part(int layer, MatrixRole role, std::string (*tensor_of)(const std::string&)) const {
  const auto query_width = static_cast<std::uint64_t>(config_.n_heads * config_.head_dim);
  const auto kv_width = static_cast<std::uint64_t>(config_.n_kv_heads * config_.head_dim);
  const auto part = [&](const char* separate, std::uint64_t first) {
    return names_.query_key_value == nullptr
               ? TensorPart{.tensor = tensor_of(layer_module(layer, separate))}
               : TensorPart{.tensor = tensor_of(layer_module(layer, names_.query_key_value)), .first = first};
  };
  const auto turned = [&](TensorPart rotated) {
    if (names_.interleaved_rotation) rotated.turned = static_cast<std::uint64_t>(config_.head_dim);
    return rotated;
  };
  switch (role) {
    case MatrixRole::kQuery: return turned(part(names_.query, 0));
    case MatrixRole::kKey: return turned(part(names_.key, query_width));
    default: return part(names_.value, query_width + kv_width);
  }
}

TensorPart SourceModel::expert_part(int layer, int expert, MatrixRole role) const {
  const engine::LayerConfig& shape = config_.layers[static_cast<std::size_t>(layer)];
  const auto hidden_dim = static_cast<std::uint64_t>(shape.hidden_dim), dim = static_cast<std::uint64_t>(config_.dim);
  if (shape.has_shared() && expert == shape.shared_expert()) return {.tensor = weight(expert_module(layer, expert, role))};
  const StackedExperts& stacked = names_.stacked;
  if (shape.has_router() && stacked.gate_up != nullptr) {
    const bool down = role == MatrixRole::kDown;
    const std::uint64_t outputs = down ? dim : 2 * hidden_dim, inputs = down ? hidden_dim : dim;
    TensorPart part{.tensor = layer_module(layer, down ? stacked.down : stacked.gate_up)};
    part.transposed = stacked.transposed && !tensor(part.tensor).form().outputs_first;
    part.slice_row = static_cast<std::uint64_t>(expert) * (part.transposed ? inputs : outputs);
    if (!down && stacked.interleaved) part.step = 2;
    if (role == MatrixRole::kUp) part.first = stacked.interleaved ? 1 : hidden_dim;
    return part;
  }
  if (!shape.has_router() && names_.dense_gate_up != nullptr && role != MatrixRole::kDown)
    return {.tensor = weight(layer_module(layer, names_.dense_gate_up)), .first = role == MatrixRole::kUp ? hidden_dim : 0};
  return {.tensor = weight(expert_module(layer, expert, role))};
}

bool SourceModel::is_turned(const TensorRows& tensor) const {
  return names_.stacked.gate_up != nullptr && names_.stacked.transposed && tensor.form().outputs_first && tensor.shape().size() == 3;
}

Shape SourceModel::plain_shape(const std::string& name) const {
  Shape shape = tensor(name).shape();
  if (is_turned(tensor(name))) std::swap(shape[1], shape[2]);
  return shape;
}

TensorPart SourceModel::plain_part(TensorPart part) const {
  const TensorRows& rows = tensor(part.tensor);
  if (!is_turned(rows)) return part;
  const Shape& shape = rows.shape();
  part.slice_row = part.slice_row / shape[1] * shape[2];
  part.transposed = true;
  return part;
}

TensorPart SourceModel::neuron_bias_part(const PathSpec& path, VectorRole role) const {
  const StackedExperts& stacked = names_.stacked;
  if (stacked.gate_up == nullptr) {
    const MatrixRole matrix = role == VectorRole::kGateBias ? MatrixRole::kGate
                              : role == VectorRole::kUpBias ? MatrixRole::kUp
                                                            : MatrixRole::kDown;
    return {.tensor = bias(expert_module(path.layer, path.expert, matrix)),
            .first = matrix == MatrixRole::kDown ? 0 : static_cast<std::uint64_t>(path.first)};
  }
  const auto expert = static_cast<std::uint64_t>(path.expert), first = static_cast<std::uint64_t>(path.first);
  if (role == VectorRole::kDownBias)
    return {.tensor = layer_module(path.layer, stacked.down_bias), .slice_row = expert};
  const auto hidden_dim = static_cast<std::uint64_t>(config_.layers[static_cast<std::size_t>(path.layer)].hidden_dim);
  TensorPart part{.tensor = layer_module(path.layer, stacked.gate_up_bias), .slice_row = expert};
  const bool up = role == VectorRole::kUpBias;
  part.step = stacked.interleaved ? 2 : 1;
  part.first = first * part.step + (!up ? 0 : stacked.interleaved ? 1 : hidden_dim);
  return part;
}

TensorPart SourceModel::matrix_part(const PathSpec& path, const MatrixSpec& matrix) const {
  if (is_latent(path, matrix.role)) return latent_part(path, matrix);
  switch (matrix.role) {
    case MatrixRole::kKey:
    case MatrixRole::kValue:
    case MatrixRole::kQuery: return attention_part(path.layer, matrix.role, weight);
    case MatrixRole::kOutput: return {.tensor = weight(layer_module(path.layer, names_.output))};
    case MatrixRole::kVocabulary: return {.tensor = weight(path.kind == PathKind::kHead ? names_.head : names_.embedding)};
    default: return expert_part(path.layer, path.expert, matrix.role);
  }
}

TensorPart SourceModel::vector_part(const PathSpec& path, VectorRole role) const {
  const auto of_layer = [&](const char* name) { return TensorPart{.tensor = weight(layer_module(path.layer, name))}; };
  switch (role) {
    case VectorRole::kAttentionNorm: return of_layer(names_.attention_norm);
    case VectorRole::kFeedForwardNorm: return of_layer(names_.feed_forward_norm);
    case VectorRole::kQueryNorm: return of_layer(names_.query_norm);
    case VectorRole::kKeyNorm: return of_layer(names_.key_norm);
    case VectorRole::kOutputBias: return {.tensor = bias(layer_module(path.layer, names_.output))};
    case VectorRole::kRouter: return of_layer(names_.router);
    case VectorRole::kAttentionNormBias: return {.tensor = bias(layer_module(path.layer, names_.attention_norm))};
    case VectorRole::kFeedForwardNormBias: return {.tensor = bias(layer_module(path.layer, names_.feed_forward_norm))};
    case VectorRole::kPositions: return {.tensor = weight(names_.positions)};
    case VectorRole::kTokenTypes: return {.tensor = weight(names_.token_type)};
    case VectorRole::kEmbeddingNorm: return {.tensor = weight(names_.embedding_norm)};
    case VectorRole::kEmbeddingNormBias: return {.tensor = bias(names_.embedding_norm)};
    case VectorRole::kRouterLogitBias: return {.tensor = bias(layer_module(path.layer, names_.router))};
    case VectorRole::kSinks: return {.tensor = layer_module(path.layer, names_.sinks), .first = static_cast<std::uint64_t>(path.first)};
    case VectorRole::kGateBias:
    case VectorRole::kUpBias:
    case VectorRole::kDownBias: return neuron_bias_part(path, role);
    case VectorRole::kRouterBias: return {.tensor = layer_module(path.layer, names_.router_bias)};
    case VectorRole::kQueryLatentNorm: return of_layer(names_.query_latent_norm);
    case VectorRole::kLatentNorm: return of_layer(names_.latent_norm);
    case VectorRole::kSharedGate: return of_layer(names_.shared_gate);
    case VectorRole::kFinalNorm: return {.tensor = weight(names_.final_norm)};
    case VectorRole::kQueryBias: return attention_part(path.layer, MatrixRole::kQuery, bias);
    case VectorRole::kKeyBias: return attention_part(path.layer, MatrixRole::kKey, bias);
    case VectorRole::kValueBias: return attention_part(path.layer, MatrixRole::kValue, bias);
    case VectorRole::kAttentionPostNorm: return of_layer(names_.attention_post_norm);
    case VectorRole::kFeedForwardPostNorm: return of_layer(names_.feed_forward_post_norm);
  }
  COLONNADE_CHECK(false, "a vector role that has no name");
}

Window SourceModel::matrix_window(const PathSpec& path, const MatrixSpec& matrix) const {
  if (is_latent(path, matrix.role)) return latent_window(path, matrix);
  const auto u = [](int value) { return static_cast<std::uint64_t>(value); };
  Window window{.first_row = 0, .n_rows = matrix.rows, .first_col = 0, .n_cols = matrix.cols};
  switch (matrix.role) {
    case MatrixRole::kKey:
    case MatrixRole::kValue: window.first_row = u(path.index + matrix.part) * u(config_.head_dim); break;
    case MatrixRole::kQuery: window.first_row = u(path.first + matrix.part) * u(config_.head_dim); break;
    case MatrixRole::kOutput: window.first_col = u(path.first + matrix.part) * u(config_.value_dim()); break;
    case MatrixRole::kDown: window.first_col = u(path.first); break;
    default: window.first_row = u(path.first); break;
  }
  return window;
}

Status SourceModel::read_positions(float* out) const {
  const TensorRows& positions = tensor(weight(names_.positions));
  const std::uint64_t dim = positions.cols();
  COLONNADE_TRY(positions.read({0, positions.rows(), 0, dim}, out, dim));
  std::vector<float> type(dim);
  COLONNADE_TRY(tensor(weight(names_.token_type)).read({0, 1, 0, dim}, type.data(), dim));
  for (std::uint64_t i = 0; i < positions.rows() * dim; ++i) out[i] += type[i % dim];
  return {};
}

Status SourceModel::read_token_types(float* out) const {
  const TensorRows& types = tensor(weight(names_.token_type));
  const std::uint64_t dim = types.cols(), n_more = static_cast<std::uint64_t>(config_.n_token_types) - 1;
  std::vector<float> first(dim);
  COLONNADE_TRY(types.read({0, 1, 0, dim}, first.data(), dim));
  COLONNADE_TRY(types.read({1, n_more, 0, dim}, out, dim));
  for (std::uint64_t i = 0; i < n_more * dim; ++i) out[i] -= first[i % dim];
  return {};
}

PathWeights SourceModel::weights_of(const PathSpec& path, const TensorSource* matrices) const {
  PathWeights weights;
  weights.rows = [this, &path, matrices](const MatrixSpec& matrix, std::uint32_t first_row, std::uint32_t n_rows, float* out) -> Status {
    const TensorPart of_source = matrix_part(path, matrix), part = matrices == nullptr ? of_source : plain_part(of_source);
    const auto read = [&](const TensorRows& source) {
      if (is_latent(path, matrix.role)) return read_latent_rows(source, path, matrix, first_row, n_rows, out);
      Window window = matrix_window(path, matrix);
      window.first_row += first_row;
      window.n_rows = n_rows;
      return read_matrix_part(source, part, window, out, matrix.cols);
    };
    if (matrices == nullptr) return read(tensor(part.tensor));
    COLONNADE_ASSIGN(const TensorRows elsewhere, matrices->find(tensor(part.tensor).name(), plain_shape(part.tensor)));
    return read(elsewhere);
  };
  weights.vector = [this, &path](const VectorSpec& vector, float* out) -> Status {
    if (vector.role == VectorRole::kPositions) return read_positions(out);
    if (vector.role == VectorRole::kTokenTypes) return read_token_types(out);
    const TensorPart part = vector_part(path, vector.role);
    const TensorRows& source = tensor(part.tensor);
    if (vector.role == VectorRole::kRouter)
      return source.read({0, source.rows(), 0, source.cols()}, out, source.cols());
    std::uint64_t first = 0;
    const auto head_dim = static_cast<std::uint64_t>(config_.head_dim);
    if (vector.role == VectorRole::kQueryBias) first = static_cast<std::uint64_t>(path.first + vector.part) * head_dim;
    if (vector.role == VectorRole::kKeyBias || vector.role == VectorRole::kValueBias)
      first = static_cast<std::uint64_t>(path.index + vector.part) * head_dim;
    COLONNADE_TRY(read_vector_part(source, part, first, vector.count, out));
    if (is_norm(vector.role))
      for (std::uint32_t i = 0; i < vector.count; ++i) out[i] += names_.norm_offset;
    return {};
  };
  return weights;
}

}  // namespace colonnade::shard
