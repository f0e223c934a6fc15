// Predicted tokens a second of a plan, what bounds them, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "engine/base/json.h"
#include "shard/predict.h"

namespace colonnade::cli {

/// One kind of step.
struct PredictedRow {
  int batch = 1;            // sequences
  int prompt_tokens = 0;    // 0: a token of an answer each
  double tokens_per_second = 0;
  shard::StepPrediction step;  // of a prompt all of its steps together
};

/// Answers to each of `batches` sequences at once, which share `kv_tokens` of context; then one prompt of `prompt_tokens` in
/// steps of at most `max_step_tokens`, one after the other (0: none).
std::vector<PredictedRow> predict_rows(const shard::PredictionInput& input, const std::vector<int>& batches, std::uint64_t kv_tokens,
                                       int prompt_tokens, int max_step_tokens);

std::string prediction_text(const shard::PredictionInput& input, const std::vector<PredictedRow>& rows, std::uint64_t kv_tokens);
OrderedJson prediction_json(const std::vector<PredictedRow>& rows);

}  // namespace colonnade::cli
