#include "shard/gguf_tensors.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/base/format_text.h"
#include "shard/row_order.h"

namespace colonnade::shard {
namespace {

/// "blk.12.attn_q" → 12, "attn_q"
struct LayerModule {
  int layer = 0;
  std::string module;
};
std::optional<LayerModule> layer_module(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  LayerModule found;
  const char* end = name.data() + name.size();
  const auto [after, error] = std::from_chars(name.data() + kPrefix.size(), end, found.layer);
  if (error != std::errc() || after == end || *after != '.' || found.layer < 0) return std::nullopt;
  found.module.assign(after + 1, end);
  return found;
}

/// What the configuration has taken up (gguf_config.h) and what says nothing about the model.
bool is_no_weight(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" || name == "rope_factors_short.weight" ||
         name.ends_with(".attn_rot_embd") || name.ends_with(".rope_freqs.weight");
}

}  // namespace

Result<std::unique_ptr<const GgufTensors>> GgufTensors::make(GgufFiles files, int n_layers, int head_dim) {
  COLONNADE_ASSIGN(const GgufArchitecture* architecture, gguf_architecture_of(files.header(), files.file_names().front()));
  const Family* family = find_family(architecture->model_type);
  COLONNADE_CHECK(family != nullptr, "a GGUF architecture of a family that is not listed");
  std::unique_ptr<GgufTensors> tensors(new GgufTensors(std::move(files), *architecture, family->names, head_dim));
  COLONNADE_TRY(tensors->place_all(n_layers));
  return std::unique_ptr<const GgufTensors>(std::move(tensors));
}

Status GgufTensors::place_all(int n_layers) {
  for (const GgufPlacedTensor& tensor : files_.tensors()) {
    if (is_no_weight(tensor.name)) continue;
    const std::size_t dot = tensor.name.rfind('.');
    const std::string base = tensor.name.substr(0, dot);
    const std::string ending = dot == std::string::npos ? "" : tensor.name.substr(dot);
    bool known = false;
    if (const auto at = layer_module(base)) {
      // Layers beyond the last predict further tokens.
      known = at->layer >= n_layers || place_in_layer(tensor, text(names_.layer, at->layer, "."), at->module, ending);
    } else {
      for (const GgufModule& outer : outer_gguf_modules()) {
        const char* module = names_.*outer.family;
        if (base != outer.gguf || module == nullptr || *module == '\0') continue;
        places_[module + ending] = {.tensor = &tensor};
        known = true;
      }
    }
    if (!known)
      return Error{ErrorCode::kUnsupported, text(files_.file_names()[tensor.file], ": tensor ", tensor.name, " is none that architecture ",
                                                 architecture_.name, " has here")};
  }
  return {};
}

bool GgufTensors::place_in_layer(const GgufPlacedTensor& tensor, const std::string& layer, const std::string& module,
                                 const std::string& ending) {
  const std::span<const GgufModule> own = architecture_.modules, shared = shared_gguf_modules();
  for (const std::span<const GgufModule> table : {own, shared}) {
    for (const GgufModule& entry : table) {
      const char* name = names_.*entry.family;
      if (module != entry.gguf || name == nullptr) continue;
      const bool turned = entry.family == &TensorNames::query || entry.family == &TensorNames::key;
      places_[layer + name + (entry.whole_name ? "" : ending)] = {.tensor = &tensor, .rotated = turned && architecture_.rotates_neighbours};
      return true;
    }
  }
  const bool keys = module == "attn_k_b", values = module == "attn_v_b";
  if (keys || values) {
    // Newer files have the two in place of attn_kv_b, others beside it.
    if (files_.find(tensor.name.substr(0, tensor.name.rfind("attn_")) + "attn_kv_b.weight") != nullptr) return true;
    Place& place = places_[layer + names_.heads_of_latent + ending];
    (keys ? place.tensor : place.joined) = &tensor;
    place.of_heads = true;
    return true;
  }
  return place_feed_forward(tensor, layer, module, ending);
}

bool GgufTensors::place_feed_forward(const GgufPlacedTensor& tensor, const std::string& layer, const std::string& module,
                                     const std::string& ending) {
  const struct {
    const char *gguf, *dense, *expert;
  } matrices[] = {{"ffn_gate", names_.dense_gate, names_.expert_gate}, {"ffn_up", names_.dense_up, names_.expert_up}, {"ffn_down", names_.dense_down, names_.expert_down}};
  for (const auto& matrix : matrices) {
    const std::string_view gguf = matrix.gguf;
    if (!module.starts_with(gguf)) continue;
    const std::string_view rest = std::string_view(module).substr(gguf.size());
    const std::string experts = layer + names_.experts + ".";
    if (rest.empty()) {
      const bool both = gguf == "ffn_up" && names_.dense_gate_up != nullptr;
      places_[both ? layer + names_.dense_gate_up + ending : text(layer, names_.dense, ".", matrix.dense, ending)] = {.tensor = &tensor};
      return true;
    }
    if (rest == "_shexp") {
      places_[text(layer, names_.shared_expert, ".", matrix.expert, ending)] = {.tensor = &tensor};
      return true;
    }
    if (rest == "_exps" && names_.stacked.gate_up != nullptr) return place_stack(tensor, layer, gguf, ending);
    if (rest == "_exps") {  // a stack of all experts
      for (std::uint64_t e = 0; e < tensor.shape.front(); ++e) places_[text(experts, e, ".", matrix.expert, ending)] = {.tensor = &tensor, .slice = e};
      return true;
    }
    if (rest.starts_with('.')) {  // one tensor for each expert, as until spring 2024
      places_[text(experts, rest.substr(1), ".", matrix.expert, ending)] = {.tensor = &tensor};
      return true;
    }
  }
  return false;
}

/// Of a family that has one tensor for gate and up of all experts, and one for down.
bool GgufTensors::place_stack(const GgufPlacedTensor& tensor, const std::string& layer, std::string_view matrix, const std::string& ending) {
  const StackedExperts& stacked = names_.stacked;
  const bool is_bias = ending == ".bias";
  const char* name = matrix == "ffn_down" ? (is_bias ? stacked.down_bias : stacked.down) : (is_bias ? stacked.gate_up_bias : stacked.gate_up);
  if (name == nullptr) return false;
  Place& place = places_[layer + name];
  if (matrix == "ffn_up") place.joined = &tensor;
  else place.tensor = &tensor;
  return true;
}

std::vector<std::string> GgufTensors::names() const {
  std::vector<std::string> names;
  for (const auto& entry : places_) names.push_back(entry.first);
  return names;
}

Result<TensorRows> GgufTensors::open(const std::string& name) const {
  const auto at = places_.find(name);
  if (at == places_.end())
    return Error{ErrorCode::kNotFound, text("tensor ", name, " is missing: expected in ", files_.file_names().front(),
                                            files_.file_names().size() > 1 ? " or the other files" : "")};
  const Place& place = at->second;
  if (place.of_heads) return open_heads(name, place);
  if (place.joined != nullptr) return open_joined(name, place);
  const GgufPlacedTensor& tensor = *place.tensor;
  const std::string& file = files_.file_names()[tensor.file];
  const std::uint64_t cols = tensor.shape.back();
  std::shared_ptr<const RowReader> reader = gguf_rows(*tensor.type, tensor.data.data(), cols);
  Shape shape = tensor.shape;
  std::uint64_t bytes = tensor.data.size();
  if (place.slice != kWhole) {
    bytes /= shape.front();
    shape.erase(shape.begin());
    std::uint64_t rows = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
    reader = rows_from(std::move(reader), place.slice * rows);
  }
  if (place.rotated) {
    const std::uint64_t turned = shape.size() == 1 ? cols : shape.front();
    if (turned % head_dim_ != 0)
      return Error{ErrorCode::kCorrupt, text("tensor ", tensor.name, " in ", file, ": expected heads of ", head_dim_, " rows, found ", turned, " rows")};
    reader = shape.size() == 1 ? turned_values(std::move(reader), cols, head_dim_) : turned_rows(std::move(reader), head_dim_);
  }
  if (architecture_.norms_with_offset && name.ends_with("norm.weight")) reader = shifted_values(std::move(reader), -names_.norm_offset);
  if (at->first.ends_with(std::string(names_.shared_gate) + ".weight") && shape.size() == 1) shape.insert(shape.begin(), 1);
  return TensorRows(name, file, std::move(shape), {.name = tensor.type->name, .bytes = bytes, .outputs_first = true}, std::move(reader));
}

Result<TensorRows> GgufTensors::open_heads(const std::string& name, const Place& place) const {
  const GgufPlacedTensor *keys = place.tensor, *values = place.joined;
  const auto shape_of = [](const GgufPlacedTensor* tensor) { return tensor == nullptr ? std::string("none") : shape_text(tensor->shape); };
  // Keys (heads, latent, plain part), values (heads, value, latent).
  const bool fit = keys != nullptr && values != nullptr && keys->shape.size() == 3 && values->shape.size() == 3 && keys->shape[0] == values->shape[0] &&
                   keys->shape[1] == values->shape[2];
  if (!fit)
    return Error{ErrorCode::kCorrupt, text("tensor ", name, ": expected attn_k_b of [heads, latent, keys] and attn_v_b of [heads, values, latent], found ", shape_of(keys),
                                           " and ", shape_of(values))};
  const std::uint64_t latent = keys->shape[1], plain = keys->shape[2], value = values->shape[1];
  auto reader = latent_head_rows(gguf_rows(*keys->type, keys->data.data(), plain), gguf_rows(*values->type, values->data.data(), latent), {latent, plain, value});
  return TensorRows(name, files_.file_names()[keys->file], {keys->shape[0] * (plain + value), latent},
                    {.name = keys->type->name, .bytes = keys->data.size() + values->data.size()}, std::move(reader));
}

Result<TensorRows> GgufTensors::open_joined(const std::string& name, const Place& place) const {
  if (place.tensor == nullptr || place.tensor->shape != place.joined->shape || place.joined->shape.size() < 2)
    return Error{ErrorCode::kCorrupt, text("tensor ", place.joined->name, " in ", files_.file_names()[place.joined->file], ": expected a stack of the shape of that of the gates, found ",
                                           shape_text(place.joined->shape), " and ", place.tensor == nullptr ? "none" : shape_text(place.tensor->shape))};
  const bool is_bias = place.tensor->shape.size() == 2;
  const auto reader = [](const GgufPlacedTensor& tensor) { return gguf_rows(*tensor.type, tensor.data.data(), tensor.shape.back()); };
  const std::uint64_t n = place.tensor->shape[1];
  Shape shape = place.tensor->shape;
  shape[1] *= 2;
  const auto join = is_bias ? joined_values : joined_rows;
  return TensorRows(name, files_.file_names()[place.tensor->file], std::move(shape),
                    {.name = place.tensor->type->name, .bytes = place.tensor->data.size() + place.joined->data.size(), .outputs_first = true},
                    join(reader(*place.tensor), reader(*place.joined), n, names_.stacked.interleaved));
}

}  // namespace colonnade::shard
