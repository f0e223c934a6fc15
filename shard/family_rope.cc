#include <cmath>

#include "shard/family.h"

namespace colonnade::shard {
namespace {

/// A number that 0 switches off.
Result<float> optional_number(const ConfigFields& fields, const char* name) {
  const Json* value = fields.find(name);
  if (value != nullptr && value->is_number() && value->get<double>() == 0.0) return 0.0f;
  if (value == nullptr) return 0.0f;
  return fields.number(name);
}

}  // namespace

float yarn_amplitude(float factor, float mscale) {
  return factor <= 1.0f ? 1.0f : 0.1f * mscale * std::log(factor) + 1.0f;
}

Status read_yarn(const ConfigFields& fields, const ConfigFields& scaling, engine::RopeConfig& rope) {
  rope.scaling = engine::RopeScaling::kYarn;
  COLONNADE_ASSIGN(rope.factor, scaling.number("factor"));
  COLONNADE_ASSIGN(rope.beta_fast, scaling.number("beta_fast", 32.0f));
  COLONNADE_ASSIGN(rope.beta_slow, scaling.number("beta_slow", 1.0f));
  if (rope.beta_slow > rope.beta_fast) return scaling.invalid("beta_slow", "at most beta_fast");
  COLONNADE_ASSIGN(rope.whole_pairs, scaling.flag("truncate", true));
  COLONNADE_ASSIGN(const int context, fields.positive("max_position_embeddings", 2048, 1 << 30));
  COLONNADE_ASSIGN(rope.original_context_tokens, scaling.positive("original_max_position_embeddings", context, 1 << 30));
  COLONNADE_ASSIGN(const float mscale, optional_number(scaling, "mscale"));
  COLONNADE_ASSIGN(const float mscale_all_dim, optional_number(scaling, "mscale_all_dim"));
  rope.amplitude = mscale != 0.0f && mscale_all_dim != 0.0f
                       ? yarn_amplitude(rope.factor, mscale) / yarn_amplitude(rope.factor, mscale_all_dim)
                       : yarn_amplitude(rope.factor, 1.0f);
  COLONNADE_ASSIGN(rope.amplitude, scaling.number("attention_factor", rope.amplitude));
  if (rope.theta <= 1.0f) return fields.invalid("rope_theta", "more than 1 with yarn");
  return {};
}

}  // namespace colonnade::shard
