#include "shard/manifest_proto.h"

#include <limits>

#include <google/protobuf/stubs/logging.h>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "shard/manifest.pb.h"

namespace colonnade::shard {
namespace {

std::uint32_t u32(int value) { return static_cast<std::uint32_t>(value); }

/// What does not fit becomes -1, which the checks of read_manifest() refuse.
int to_int(std::uint32_t value) {
  return value <= static_cast<std::uint32_t>(std::numeric_limits<int>::max()) ? static_cast<int>(value) : -1;
}

void encode_rope(const engine::RopeConfig& rope, proto::Rope& out) {
  out.set_theta(rope.theta);
  out.set_rotary_dim(u32(rope.rotary_dim));
  out.set_scaling(static_cast<std::uint32_t>(rope.scaling));
  out.set_factor(rope.factor);
  out.set_low_freq_factor(rope.low_freq_factor);
  out.set_high_freq_factor(rope.high_freq_factor);
  out.set_original_context_tokens(u32(rope.original_context_tokens));
  out.set_beta_fast(rope.beta_fast);
  out.set_beta_slow(rope.beta_slow);
  out.set_whole_pairs(rope.whole_pairs);
  out.set_amplitude(rope.amplitude);
  out.mutable_factors()->Assign(rope.factors.begin(), rope.factors.end());
}

engine::RopeConfig decode_rope(const proto::Rope& in) {
  engine::RopeConfig rope;
  rope.theta = in.theta();
  rope.rotary_dim = to_int(in.rotary_dim());
  rope.scaling = static_cast<engine::RopeScaling>(in.scaling());
  rope.factor = in.factor();
  rope.low_freq_factor = in.low_freq_factor();
  rope.high_freq_factor = in.high_freq_factor();
  rope.original_context_tokens = to_int(in.original_context_tokens());
  if (in.amplitude() == 0.0f) return rope;
  rope.beta_fast = in.beta_fast();
  rope.beta_slow = in.beta_slow();
  rope.whole_pairs = in.whole_pairs();
  rope.amplitude = in.amplitude();
  rope.factors.assign(in.factors().begin(), in.factors().end());
  return rope;
}

void encode_config(const engine::ModelConfig& config, proto::Config& out) {
  out.set_family(config.family);
  out.set_dim(u32(config.dim));
  out.set_n_layers(u32(config.n_layers));
  out.set_n_heads(u32(config.n_heads));
  out.set_n_kv_heads(u32(config.n_kv_heads));
  out.set_head_dim(u32(config.head_dim));
  out.set_vocab_size(u32(config.vocab_size));
  out.set_max_context_tokens(u32(config.max_context_tokens));
  out.set_norm_eps(config.norm_eps);
  out.set_qkv_bias(config.qkv_bias);
  out.set_output_bias(config.output_bias);
  out.set_qk_norm(config.qk_norm);
  out.set_qk_norm_joint(config.qk_norm_joint);
  if (config.latent.used()) {
    proto::Latent& latent = *out.mutable_latent();
    latent.set_dim(u32(config.latent.dim));
    latent.set_rotary_dim(u32(config.latent.rotary_dim));
    latent.set_query_dim(u32(config.latent.query_dim));
    latent.set_plain_dim(u32(config.latent.plain_dim));
    latent.set_value_dim(u32(config.latent.value_dim));
    latent.set_norm_eps(config.latent.norm_eps);
  }
  out.set_tied_embeddings(config.tied_embeddings);
  out.set_normalize_expert_weights(config.router.normalize);
  proto::Router& router = *out.mutable_router();
  router.set_score(static_cast<std::uint32_t>(config.router.score));
  router.set_correction_bias(config.router.correction_bias);
  router.set_n_groups(u32(config.router.n_groups));
  router.set_n_active_groups(u32(config.router.n_active_groups));
  router.set_group_score(static_cast<std::uint32_t>(config.router.group_score));
  router.set_scaling(config.router.scaling);
  router.set_logit_bias(config.router.logit_bias);
  router.set_weighs_input(config.router.weighs_input);
  out.set_activation(static_cast<std::uint32_t>(config.activation));
  out.set_post_norms(config.post_norms);
  out.set_embedding_scale(config.embedding_scale);
  out.set_residual_scale(config.residual_scale);
  out.set_attention_scale(config.attention_scale);
  out.set_attention_soft_cap(config.attention_soft_cap);
  out.set_logit_scale(config.logit_scale);
  out.set_logit_soft_cap(config.logit_soft_cap);
  out.set_activation_limit(config.activation_limit);
  out.set_activation_steepness(config.activation_steepness);
  out.set_neuron_bias(config.neuron_bias);
  out.set_attention_sinks(config.attention_sinks);
  out.set_layer_norms(config.layer_norms);
  out.set_norm_after(config.norm_after);
  out.set_position_embeddings(config.position_embeddings);
  out.set_encoder(config.encoder);
  out.set_pooling(static_cast<std::uint32_t>(config.pooling));
  out.set_unit_length(config.unit_length);
  out.set_qk_unit_norm(config.qk_unit_norm);
  out.set_query_growth(config.query_growth);
  out.set_query_growth_tokens(u32(config.query_growth_tokens));
  out.set_n_token_types(u32(config.n_token_types));
  encode_rope(config.rope, *out.mutable_rope());
  for (const engine::RopeConfig& rope : config.more_ropes) encode_rope(rope, *out.add_more_ropes());
  out.set_neuron_group(static_cast<std::uint32_t>(config.neuron_group));
  out.set_output_heads(static_cast<std::uint32_t>(config.output_heads));
  for (const engine::LayerConfig& layer : config.layers) {
    proto::Layer& l = *out.add_layers();
    l.set_hidden_dim(u32(layer.hidden_dim));
    l.set_n_experts(u32(layer.n_experts));
    l.set_n_active(u32(layer.n_active));
    l.set_window_tokens(u32(layer.window_tokens));
    l.set_shared_hidden_dim(u32(layer.shared_hidden_dim));
    l.set_shared_gate(layer.shared_gate);
    l.set_rope(layer.rope);
    l.set_window_chunks(layer.window_chunks);
  }
}

engine::ModelConfig decode_config(const proto::Config& in) {
  engine::ModelConfig config;
  config.family = in.family();
  config.dim = to_int(in.dim());
  config.n_layers = to_int(in.n_layers());
  config.n_heads = to_int(in.n_heads());
  config.n_kv_heads = to_int(in.n_kv_heads());
  config.head_dim = to_int(in.head_dim());
  config.vocab_size = to_int(in.vocab_size());
  config.max_context_tokens = to_int(in.max_context_tokens());
  config.norm_eps = in.norm_eps();
  config.qkv_bias = in.qkv_bias();
  config.output_bias = in.output_bias();
  config.qk_norm = in.qk_norm();
  config.qk_norm_joint = in.qk_norm_joint();
  if (in.has_latent())
    config.latent = {.dim = to_int(in.latent().dim()),
                     .rotary_dim = to_int(in.latent().rotary_dim()),
                     .query_dim = to_int(in.latent().query_dim()),
                     .plain_dim = to_int(in.latent().plain_dim()),
                     .value_dim = to_int(in.latent().value_dim()),
                     .norm_eps = in.latent().norm_eps()};
  config.tied_embeddings = in.tied_embeddings();
  config.router.normalize = in.normalize_expert_weights();
  if (in.has_router()) {
    config.router.score = static_cast<engine::RouterScore>(in.router().score());
    config.router.correction_bias = in.router().correction_bias();
    config.router.n_groups = to_int(in.router().n_groups());
    config.router.n_active_groups = to_int(in.router().n_active_groups());
    config.router.group_score = static_cast<engine::GroupScore>(in.router().group_score());
    config.router.scaling = in.router().scaling();
    config.router.logit_bias = in.router().logit_bias();
    config.router.weighs_input = in.router().weighs_input();
  }
  config.rope = decode_rope(in.rope());
  for (const proto::Rope& rope : in.more_ropes()) config.more_ropes.push_back(decode_rope(rope));
  config.activation = static_cast<engine::Activation>(in.activation());
  config.post_norms = in.post_norms();
  const auto factor = [](float value) { return value == 0.0f ? 1.0f : value; };
  config.embedding_scale = factor(in.embedding_scale());
  config.residual_scale = factor(in.residual_scale());
  config.attention_scale = in.attention_scale();
  config.attention_soft_cap = in.attention_soft_cap();
  config.logit_scale = factor(in.logit_scale());
  config.logit_soft_cap = in.logit_soft_cap();
  config.activation_limit = in.activation_limit();
  config.activation_steepness = in.activation_steepness();
  config.neuron_bias = in.neuron_bias();
  config.attention_sinks = in.attention_sinks();
  config.layer_norms = in.layer_norms();
  config.norm_after = in.norm_after();
  config.position_embeddings = in.position_embeddings();
  config.encoder = in.encoder();
  config.pooling = static_cast<engine::Pooling>(in.pooling());
  config.unit_length = in.unit_length();
  config.qk_unit_norm = in.qk_unit_norm();
  config.query_growth = in.query_growth();
  if (in.query_growth_tokens() != 0) config.query_growth_tokens = to_int(in.query_growth_tokens());
  if (in.n_token_types() != 0) config.n_token_types = to_int(in.n_token_types());
  config.neuron_group = to_int(in.neuron_group());
  config.output_heads = to_int(in.output_heads());
  config.layers.reserve(static_cast<std::size_t>(in.layers_size()));
  for (const proto::Layer& l : in.layers())
    config.layers.push_back({.hidden_dim = to_int(l.hidden_dim()),
                             .n_experts = to_int(l.n_experts()),
                             .n_active = to_int(l.n_active()),
                             .window_tokens = to_int(l.window_tokens()),
                             .window_chunks = l.window_chunks(),
                             .shared_hidden_dim = to_int(l.shared_hidden_dim()),
                             .shared_gate = l.shared_gate(),
                             .rope = l.rope()});
  return config;
}

void encode_path(const PathSpec& path, proto::Path& out) {
  out.set_kind(static_cast<std::uint32_t>(path.kind));
  out.set_layer(u32(path.layer));
  out.set_index(u32(path.index));
  out.set_expert(u32(path.expert));
  out.set_first(u32(path.first));
  out.set_count(u32(path.count));
  out.set_bytes(path.bytes);
  out.set_file(path.file);
  out.set_offset(path.offset);
  out.set_checksum(path.checksum);
  for (const std::uint64_t checksum : path.part_checksums) out.add_part_checksums(checksum);
  for (const MatrixSpec& matrix : path.matrices) {
    proto::Matrix& m = *out.add_matrices();
    m.set_role(static_cast<std::uint32_t>(matrix.role));
    m.set_part(u32(matrix.part));
    m.set_rows(matrix.rows);
    m.set_cols(matrix.cols);
    m.set_format(static_cast<std::uint32_t>(matrix.format));
    m.set_density(matrix.zeros.density);
    m.set_block_density(matrix.zeros.block_density);
    m.set_bytes(matrix.bytes);
  }
  for (const VectorSpec& vector : path.vectors) {
    proto::Vector& v = *out.add_vectors();
    v.set_role(static_cast<std::uint32_t>(vector.role));
    v.set_part(u32(vector.part));
    v.set_count(vector.count);
  }
}

PathSpec decode_path(const proto::Path& in) {
  PathSpec path{.kind = static_cast<PathKind>(in.kind()),
                .layer = to_int(in.layer()),
                .index = to_int(in.index()),
                .expert = to_int(in.expert()),
                .first = to_int(in.first()),
                .count = to_int(in.count())};
  path.bytes = in.bytes();
  path.file = in.file();
  path.offset = in.offset();
  path.checksum = in.checksum();
  path.part_checksums.assign(in.part_checksums().begin(), in.part_checksums().end());
  path.matrices.reserve(static_cast<std::size_t>(in.matrices_size()));
  for (const proto::Matrix& m : in.matrices()) {
    MatrixSpec matrix{.role = static_cast<MatrixRole>(m.role()),
                      .part = to_int(m.part()),
                      .rows = m.rows(),
                      .cols = m.cols(),
                      .format = static_cast<engine::FormatId>(m.format())};
    matrix.zeros = engine::Zeros::anywhere(m.density());
    if (m.has_block_density()) matrix.zeros.block_density = m.block_density();
    matrix.bytes = m.bytes();
    path.matrices.push_back(matrix);
  }
  path.vectors.reserve(static_cast<std::size_t>(in.vectors_size()));
  for (const proto::Vector& v : in.vectors())
    path.vectors.push_back({.role = static_cast<VectorRole>(v.role()), .part = to_int(v.part()), .count = v.count()});
  return path;
}

}  // namespace

std::string encode_manifest(const Manifest& manifest) {
  proto::Manifest out;
  out.set_version(kManifestVersion);
  out.set_name(manifest.name);
  out.set_source_fingerprint(manifest.source_fingerprint);
  out.set_packed_by(manifest.packed_by);
  encode_config(manifest.config, *out.mutable_config());
  for (const PathSpec& path : manifest.paths) encode_path(path, *out.add_paths());
  for (const SourceFile& file : manifest.source_files) {
    proto::SourceFile& f = *out.add_source_files();
    f.set_name(file.name);
    f.set_content(file.content);
  }
  for (const BlobFile& file : manifest.blob_files) {
    proto::BlobFile& f = *out.add_blob_files();
    f.set_name(file.name);
    f.set_bytes(file.bytes);
  }
  std::string bytes;
  COLONNADE_CHECK(out.SerializeToString(&bytes), "a manifest could not be written");
  return bytes;
}

Result<Manifest> decode_manifest(std::span<const std::byte> bytes) {
  const google::protobuf::LogSilencer silence;  // our message says it
  proto::Manifest in;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error{ErrorCode::kCorrupt, text("expected a manifest message in ", bytes.size(), " bytes, found none")};
  // Versions 1 to 3 had other strips of int4 where 64 or fewer columns were left, version 4 an output matrix for each query head.
  if (in.version() != kManifestVersion)
    return Error{ErrorCode::kUnsupported, text("expected version ", kManifestVersion, ", found ", in.version(),
                                               " (packed by ", in.packed_by(), "): pack the model again")};
  Manifest manifest;
  manifest.name = in.name();
  manifest.source_fingerprint = in.source_fingerprint();
  manifest.packed_by = in.packed_by();
  manifest.config = decode_config(in.config());
  manifest.paths.reserve(static_cast<std::size_t>(in.paths_size()));
  for (const proto::Path& path : in.paths()) manifest.paths.push_back(decode_path(path));
  for (const proto::SourceFile& f : in.source_files()) manifest.source_files.push_back({f.name(), f.content()});
  for (const proto::BlobFile& f : in.blob_files()) manifest.blob_files.push_back({f.name(), f.bytes()});
  return manifest;
}

}  // namespace colonnade::shard
