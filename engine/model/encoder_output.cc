#include "engine/model/encoder_output.h"

#include <algorithm>
#include <cmath>

namespace colonnade::engine {
namespace {

/// The mean of the sequence's tokens, or its first one.
void pool(const RankContext& context, const float* first, int n_tokens, float* out) {
  const std::size_t dim = context.dim();
  std::copy_n(first, dim, out);
  if (context.config.pooling == Pooling::kMean) {
    for (int t = 1; t < n_tokens; ++t) context.kernels.add(out, first + static_cast<std::size_t>(t) * dim, dim);
    context.kernels.scale(out, 1.0f / static_cast<float>(n_tokens), dim);
  }
  if (!context.config.unit_length) return;
  const float length = std::sqrt(context.kernels.dot(out, out, dim));
  if (length > 0.0f) context.kernels.scale(out, 1.0f / length, dim);
}

}  // namespace

void pool_rows(const RankContext& context, const Batch& batch, const Step& step, const float* x, StepResult& result) {
  const std::size_t dim = context.dim();
  result.clear();
  result.id = step.id;
  result.logits.resize(step.rows.size() * dim);
  for (std::size_t r = 0; r < step.rows.size(); ++r) {
    const StepRow& row = step.rows[r];
    float* const out = result.logits.data() + r * dim;
    RowResult answer;
    answer.first_logit = static_cast<std::int32_t>(r * dim);
    result.rows.push_back(answer);
    if ((row.flags & kRowPooled) != 0) {
      const int end = batch.sequence_end(row.token_index);
      const int first = row.token_index - batch.position(row.token_index);  // its sequence begins at position 0
      pool(context, x + static_cast<std::size_t>(first) * dim, end - first, out);
    } else {
      std::copy_n(x + static_cast<std::size_t>(row.token_index) * dim, dim, out);
    }
  }
}

}  // namespace colonnade::engine
