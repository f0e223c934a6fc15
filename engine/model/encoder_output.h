// What an encoder answers: for each row of a step the vector of its token, or one for the token's whole sequence.
#pragma once

#include "engine/model/batch.h"
#include "engine/model/rank_context.h"
#include "engine/model/step.h"

namespace colonnade::engine {

/// Fills `result` from the residual stream x (n_tokens, dim); StepResult::logits gets dim numbers for each row.
void pool_rows(const RankContext& context, const Batch& batch, const Step& step, const float* x, StepResult& result);

}  // namespace colonnade::engine
