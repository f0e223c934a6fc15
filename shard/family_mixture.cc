#include "engine/base/format_text.h"
#include "shard/family.h"

namespace colonnade::shard {
namespace {

/// mlp_only_layers: layers that stay dense.
Result<std::vector<bool>> read_dense_layers(const ConfigFields& fields, int n_layers) {
  std::vector<bool> dense(static_cast<std::size_t>(n_layers), false);
  const Json* list = fields.find("mlp_only_layers");
  if (list == nullptr) return dense;
  if (!list->is_array()) return fields.invalid("mlp_only_layers", "a list of layers");
  for (const Json& layer : *list) {
    if (!layer.is_number_unsigned() || layer.get<std::uint64_t>() >= dense.size())
      return fields.invalid("mlp_only_layers", text("layers from 0 to ", n_layers - 1));
    dense[layer.get<std::size_t>()] = true;
  }
  return dense;
}

}  // namespace

Status make_mixture(const ConfigFields& fields, const char* experts_field, int n_experts, int n_active, int hidden_dim,
                    engine::LayerConfig& layer) {
  if (n_experts < 2) return fields.invalid(experts_field, "at least 2 experts");
  if (n_active > n_experts)
    return fields.invalid("num_experts_per_tok", text("at most ", experts_field, " ", n_experts));
  layer.n_experts = n_experts;
  layer.n_active = n_active;
  layer.hidden_dim = hidden_dim;
  return {};
}

Status read_sparse_layers(const ConfigFields& fields, const SparseLayerDefaults& defaults, engine::ModelConfig& config) {
  COLONNADE_ASSIGN(const int n_experts, fields.count(defaults.experts_field, defaults.n_experts, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", defaults.n_active, 1 << 16));
  COLONNADE_ASSIGN(const int hidden_dim, fields.positive("moe_intermediate_size", defaults.hidden_dim));
  COLONNADE_ASSIGN(const int step, fields.positive("decoder_sparse_step", 1));
  COLONNADE_ASSIGN(config.router.normalize, fields.flag("norm_topk_prob", false));
  COLONNADE_ASSIGN(const std::vector<bool> dense, read_dense_layers(fields, config.n_layers));
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    if (dense[i] || n_experts == 0 || (static_cast<int>(i) + 1) % step != 0) continue;
    COLONNADE_TRY(make_mixture(fields, defaults.experts_field, n_experts, n_active, hidden_dim, config.layers[i]));
  }
  return {};
}

Status read_routed_experts(const ConfigFields& fields, const RoutedExpertDefaults& defaults, engine::ModelConfig& config) {
  engine::RouterConfig& router = config.router;
  COLONNADE_ASSIGN(const int n_experts, fields.positive("n_routed_experts", {}, 1 << 16));
  COLONNADE_ASSIGN(const int n_active, fields.positive("num_experts_per_tok", defaults.n_active, 1 << 16));
  COLONNADE_ASSIGN(const int hidden_dim, fields.positive("moe_intermediate_size", defaults.hidden_dim));
  COLONNADE_ASSIGN(const int n_shared, fields.count("n_shared_experts", defaults.n_shared, 64));
  COLONNADE_ASSIGN(const int first_sparse, fields.count("first_k_dense_replace", defaults.first_sparse_layer));
  COLONNADE_ASSIGN(const int period, fields.positive("moe_layer_freq", 1));
  COLONNADE_ASSIGN(router.normalize, fields.flag("norm_topk_prob", defaults.normalize));
  COLONNADE_ASSIGN(router.scaling, fields.number("routed_scaling_factor", defaults.scaling));

  COLONNADE_ASSIGN(const std::string score, fields.string("scoring_func", defaults.score));
  if (score != "softmax" && score != "sigmoid")
    return fields.invalid("scoring_func", "softmax or sigmoid (others are not supported)");
  router.score = score == "softmax" ? engine::RouterScore::kSoftmax : engine::RouterScore::kSigmoid;
  COLONNADE_ASSIGN(const std::string method, fields.string("topk_method", defaults.method));
  if (method != "greedy" && method != "group_limited_greedy" && method != "noaux_tc")
    return fields.invalid("topk_method", "greedy, group_limited_greedy or noaux_tc (others are not supported)");
  router.correction_bias = method == "noaux_tc";
  router.group_score = method == "noaux_tc" ? engine::GroupScore::kTwoBest : engine::GroupScore::kBest;
  if (method != "greedy") {
    COLONNADE_ASSIGN(router.n_groups, fields.positive("n_group", defaults.n_groups, n_experts));
    COLONNADE_ASSIGN(router.n_active_groups, fields.positive("topk_group", defaults.n_active_groups, router.n_groups));
    if (n_experts % router.n_groups != 0)
      return fields.invalid("n_group", text("a divisor of n_routed_experts ", n_experts));
    if (n_active > n_experts / router.n_groups * router.n_active_groups)
      return fields.invalid("topk_group", text("groups with at least num_experts_per_tok ", n_active, " experts"));
  }
  for (int l = first_sparse; l < config.n_layers; ++l) {
    if (l % period != 0) continue;
    engine::LayerConfig& layer = config.layers[static_cast<std::size_t>(l)];
    COLONNADE_TRY(make_mixture(fields, "n_routed_experts", n_experts, n_active, hidden_dim, layer));
    layer.shared_hidden_dim = n_shared * hidden_dim;
  }
  return {};
}

}  // namespace colonnade::shard
