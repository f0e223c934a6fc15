// The steps that colonnade bench times, and the bytes that they read.
#pragma once

#include "engine/base/result.h"
#include "engine/kernels/kernels.h"
#include "shard/manifest.h"
#include "shard/plan.h"
#include "worker/local_ranks.h"

namespace colonnade::cli {

/// KV pages of one sequence of n tokens.
int pages_of(int n_tokens);

/// Seconds for a prompt of n tokens at positions 0 …, in steps of at most max_step_tokens.
Result<double> time_prefill(worker::LocalRanks& ranks, int n_tokens, int max_step_tokens, int vocab_size);

/// Seconds for n steps that each give `batch` sequences one token, from position 0 on, after one step that is not counted.
Result<double> time_decode(worker::LocalRanks& ranks, int n_tokens, int batch, int vocab_size);

/// Seconds for an encoder's vectors of `batch` sequences of n tokens, in steps of at most max_step_tokens.
Result<double> time_encode(worker::LocalRanks& ranks, int n_tokens, int batch, int max_step_tokens, int vocab_size);

/// Weights that all ranks together read for a step of `batch` tokens: of a mixture the experts that so many tokens reach when
/// each chooses at random.
double step_weight_bytes(const shard::Manifest& manifest, const shard::Plan& plan, int batch);

/// KV cache that such a step reads, as the mean over positions 0 … n_tokens - 1.
double step_kv_bytes(const engine::ModelConfig& config, engine::KvType type, int n_tokens, int batch);

}  // namespace colonnade::cli
