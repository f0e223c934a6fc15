// BERT encoders (sentence-transformers, BGE, E5, GTE of the first generation): norms after the residual, learned positions,
// gelu without a gate. transformers BertModel.
#include "shard/family.h"

namespace colonnade::shard {
namespace {

Result<engine::ModelConfig> read(const ConfigFields& fields) {
  COLONNADE_ASSIGN(engine::ModelConfig config,
                   read_shared_fields(fields, {.max_context_tokens = 512, .activation = "gelu", .gated = false}));
  COLONNADE_ASSIGN(config.norm_eps, fields.number("layer_norm_eps", 1e-12f));
  COLONNADE_ASSIGN(const std::string positions, fields.string("position_embedding_type", "absolute"));
  if (positions != "absolute") return fields.invalid("position_embedding_type", "absolute (others are not supported)");
  COLONNADE_ASSIGN(const bool decoder, fields.flag("is_decoder", false));
  if (decoder) return fields.invalid("is_decoder", "false (true is not supported)");
  config.qkv_bias = config.output_bias = config.neuron_bias = true;
  config.layer_norms = config.norm_after = true;
  config.position_embeddings = true;
  COLONNADE_ASSIGN(config.n_token_types, fields.positive("type_vocab_size", 2, 1 << 10));
  config.encoder = true;
  config.tied_embeddings = false;
  for (engine::LayerConfig& layer : config.layers) layer.rope = -1;
  return config;
}

}  // namespace

const Family& bert_family() {
  static const Family family{"bert",
                             "BertModel",
                             {.embedding = "embeddings.word_embeddings",
                              .layer = "encoder.layer.",
                              .attention_norm = "attention.output.LayerNorm",
                              .feed_forward_norm = "output.LayerNorm",
                              .query = "attention.self.query",
                              .key = "attention.self.key",
                              .value = "attention.self.value",
                              .output = "attention.output.dense",
                              .dense = "",
                              .dense_gate = "intermediate.dense",
                              .dense_down = "output.dense",
                              .positions = "embeddings.position_embeddings",
                              .token_type = "embeddings.token_type_embeddings",
                              .embedding_norm = "embeddings.LayerNorm",
                              .renamed_norm = "LayerNorm",
                              .prefix = "bert."},
                             read,
                             "",
                             "",
                             "BertForMaskedLM"};
  return family;
}

}  // namespace colonnade::shard
