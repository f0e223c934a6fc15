#include "coordinator/cli/bench_steps.h"

#include <algorithm>
#include <cmath>

#include "engine/base/clock.h"
#include "engine/model/rank_context.h"
#include "shard/plan_bytes.h"

namespace colonnade::cli {
namespace {

/// n_tokens tokens from first_position on of each of n_sequences sequences, whose page tables are as long as sequence_pages. With
/// `sample`, the last token of each is followed by another.
engine::Step make_step(int n_sequences, int first_position, int n_tokens, int sequence_pages, int vocab_size, bool sample) {
  engine::Step step;
  for (int s = 0; s < n_sequences; ++s) {
    step.sequences.push_back({s * n_tokens, n_tokens, first_position, static_cast<std::int32_t>(step.pages.size()),
                              pages_of(first_position + n_tokens)});
    for (int i = 0; i < n_tokens; ++i) step.tokens.push_back((s * 104729 + (first_position + i) * 7919) % vocab_size);
    for (int page = 0; page < step.sequences.back().n_pages; ++page) step.pages.push_back(s * sequence_pages + page);
    if (!sample) continue;
    engine::StepRow row;
    row.token_index = (s + 1) * n_tokens - 1;
    row.flags = engine::kRowSample;
    step.rows.push_back(row);
  }
  return step;
}

}  // namespace

int pages_of(int n_tokens) { return (n_tokens + engine::kPageTokens - 1) / engine::kPageTokens; }

Result<double> time_prefill(worker::LocalRanks& ranks, int n_tokens, int max_step_tokens, int vocab_size) {
  std::vector<engine::Step> steps;
  for (int at = 0; at < n_tokens; at += max_step_tokens) {
    const int count = std::min(max_step_tokens, n_tokens - at);
    steps.push_back(make_step(1, at, count, pages_of(n_tokens), vocab_size, at + count == n_tokens));
  }
  engine::StepResult result;
  const double start = now_seconds();
  for (const engine::Step& step : steps) COLONNADE_TRY(ranks.run(step, result));
  return now_seconds() - start;
}

Result<double> time_decode(worker::LocalRanks& ranks, int n_tokens, int batch, int vocab_size) {
  std::vector<engine::Step> steps;
  for (int i = 0; i < n_tokens; ++i) steps.push_back(make_step(batch, i, 1, pages_of(n_tokens), vocab_size, true));
  engine::StepResult result;
  COLONNADE_TRY(ranks.run(steps.front(), result));
  const double start = now_seconds();
  for (const engine::Step& step : steps) COLONNADE_TRY(ranks.run(step, result));
  return now_seconds() - start;
}

Result<double> time_encode(worker::LocalRanks& ranks, int n_tokens, int batch, int max_step_tokens, int vocab_size) {
  const int at_once = std::min(batch, max_step_tokens / n_tokens);
  std::vector<engine::Step> steps;
  for (int done = 0; done < batch; done += at_once) {
    engine::Step& step = steps.emplace_back(make_step(std::min(at_once, batch - done), 0, n_tokens, pages_of(n_tokens), vocab_size, true));
    for (engine::StepRow& row : step.rows) row.flags = engine::kRowPooled;
  }
  engine::StepResult result;
  const double start = now_seconds();
  for (const engine::Step& step : steps) COLONNADE_TRY(ranks.run(step, result));
  return now_seconds() - start;
}

double step_weight_bytes(const shard::Manifest& manifest, const shard::Plan& plan, int batch) {
  double bytes = 0;
  const int last_stage = static_cast<int>(plan.stages.size()) - 1;
  for (const shard::RankPlan& rank : plan.ranks) {
    for (const shard::Assignment& held : rank.paths) {
      const shard::PathSpec& path = manifest.paths[held.path];
      const bool is_head = manifest.config.tied_embeddings && rank.stage == last_stage;
      const double share = shard::read_share(manifest.config, path, is_head);
      bytes += static_cast<double>(shard::assignment_bytes(path, held)) * (1 - std::pow(1 - share, batch));
    }
  }
  return bytes;
}

double step_kv_bytes(const engine::ModelConfig& config, engine::KvType type, int n_tokens, int batch) {
  const double position = static_cast<double>(engine::RankContext::cache_block_bytes(config, type)) / engine::kPageTokens;
  return position * config.n_layers * config.n_kv_heads * batch * (n_tokens + 1) / 2;
}

}  // namespace colonnade::cli
