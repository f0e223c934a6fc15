// Token embedding, split by vocabulary: each rank contributes the rows that it holds, and the join adds them to zero.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/model/rank_context.h"
#include "engine/model/weights.h"

namespace colonnade::engine {

/// contribution (n_tokens, dim): the embedding where a path of this rank has the token, else 0.
inline void embed(const RankContext& context, std::span<const VocabularyPath> paths, std::span<const std::int32_t> tokens,
                  float* contribution) {
  std::memset(contribution, 0, tokens.size() * context.dim() * sizeof(float));
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    // Paths ascend by first_token: the last one that does not begin after the token.
    const auto after = std::upper_bound(paths.begin(), paths.end(), tokens[t],
                                        [](std::int32_t token, const VocabularyPath& path) { return token < path.first_token; });
    if (after == paths.begin()) continue;
    const VocabularyPath& path = *(after - 1);
    const auto row = static_cast<std::uint32_t>(tokens[t] - path.first_token);
    if (row >= path.rows.rows) continue;
    find_format(path.rows.format)->decode_row(path.rows.strip(row / kStripRows), static_cast<int>(row % kStripRows),
                                              context.dim(), contribution + t * context.dim());
  }
}

}  // namespace colonnade::engine
