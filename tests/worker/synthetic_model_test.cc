// Made-up models through the forward pass: what bench measures must be numbers, however deep and however pruned.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "engine/kernels/kernels.h"
#include "engine/model/tap.h"
#include "shard/synthetic.h"
#include "tests/support/shared_data.h"
#include "worker/local_ranks.h"

using namespace colonnade;
using engine::FormatId;

namespace {

struct Run {
  int n_ranks = 1;
  int n_tokens = 7;
  int chunk = 0;  // tokens of a step; 0: all
  const char* isa = "";
};

/// Logits of the last of some tokens.
std::vector<float> last_logits(const shard::SyntheticModel& model, const Run& run) {
  const shard::Manifest& manifest = model.manifest();
  const auto plan = shard::make_plan(manifest.config, manifest.paths, std::vector<shard::RankMachine>(static_cast<std::size_t>(run.n_ranks)), {});
  REQUIRE(plan.ok());
  const worker::SliceProvider slices = [&](int rank, const shard::SliceLayout& layout) {
    return model.slice(plan->ranks[static_cast<std::size_t>(rank)], layout, 1);
  };
  worker::LocalRanksOptions options;
  const int chunk = run.chunk > 0 ? run.chunk : run.n_tokens, n_pages = (run.n_tokens + engine::kPageTokens - 1) / engine::kPageTokens;
  options.max_step_tokens = chunk;
  options.n_pages = n_pages;
  options.isa = run.isa;
  auto ranks = worker::LocalRanks::start(manifest, *plan, slices, options);
  INFO((ranks.ok() ? "" : ranks.error().message));
  REQUIRE(ranks.ok());
  engine::StepResult result;
  for (int first = 0; first < run.n_tokens; first += chunk) {
    engine::Step step;
    const int count = std::min(chunk, run.n_tokens - first);
    for (int token = first; token < first + count; ++token) step.tokens.push_back(1 + token);
    step.sequences = {{0, count, first, 0, n_pages}};
    for (int page = 0; page < n_pages; ++page) step.pages.push_back(page);
    step.rows = {{.token_index = count - 1, .flags = engine::kRowFullLogits}};
    const Status status = (*ranks)->run(step, result);
    INFO((status.ok() ? "" : status.error().message));
    REQUIRE(status.ok());
  }
  return result.logits;
}

}  // namespace

TEST_CASE("a synthetic model of many layers has logits of ordinary size at every density") {
  const auto shape = tests::scratch_folder() / "config.json";
  std::ofstream(shape) << R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128, "intermediate_size": 384,
    "num_hidden_layers": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": false})";
  for (const FormatId values : {FormatId::kBf16, FormatId::kInt8, FormatId::kInt4}) {
    for (const engine::Sparsity& sparsity : {engine::Sparsity{}, engine::Sparsity{0.5, 0}, engine::Sparsity{0.05, 0}, engine::Sparsity{0.0625, 64},
                                             engine::Sparsity{0, 0}}) {
      CAPTURE(static_cast<int>(values), sparsity.density, sparsity.block);
      const auto model = shard::SyntheticModel::make(shape.string(), {.rules = shard::format_rules(values), .sparsity = sparsity});
      REQUIRE(model.ok());
      const std::vector<float> logits = last_logits(*model, {.n_ranks = 2});
      REQUIRE(logits.size() == 300);
      double squares = 0;
      for (const float logit : logits) {
        REQUIRE(std::isfinite(logit));
        squares += double{logit} * logit;
      }
      // The head's rows have a length of 1, and so has each number of what the last norm gives them, on average.
      CHECK(std::sqrt(squares / 300) < 4);
      CHECK(std::sqrt(squares / 300) > 0.25);
    }
  }
}

TEST_CASE("matrices of several groups of columns give the same bits by rows of tokens and by blocks") {
  // Widths that are multiples of nothing, and several paths; the last block is not full.
  const auto shape = tests::scratch_folder() / "config.json";
  std::ofstream(shape) << R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1046, "intermediate_size": 1300,
    "num_hidden_layers": 2, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 72, "vocab_size": 300, "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": false})";
  for (const FormatId values : {FormatId::kInt8, FormatId::kInt4}) {
    const auto model = shard::SyntheticModel::make(shape.string(), {.rules = shard::format_rules(values), .sparsity = {0.06, 0}});
    INFO((model.ok() ? "" : model.error().message));
    REQUIRE(model.ok());
    std::size_t wide = 0;
    for (const shard::PathSpec& path : model->manifest().paths)
      for (const shard::MatrixSpec& matrix : path.matrices)
        wide += engine::find_format(matrix.format)->activations() == engine::ActivationKind::kWide ? 1 : 0;
    CHECK(wide > 20);
    for (const int n_ranks : {1, 2}) {
      const std::vector<float> rows = last_logits(*model, {.n_ranks = n_ranks, .n_tokens = 150, .chunk = 7});
      for (const engine::KernelTable* table : engine::all_kernels()) {
        if (!engine::kernels_supported(*table)) continue;
        CAPTURE(static_cast<int>(values), n_ranks, table->name);
        CHECK((last_logits(*model, {.n_ranks = n_ranks, .n_tokens = 150, .isa = table->name}) == rows));
      }
    }
  }
}

TEST_CASE("a model narrower than what ranks exchange for norms over all heads runs") {
  const auto shape = tests::scratch_folder() / "config.json";
  std::ofstream(shape) << R"({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": 1, "intermediate_size": 16,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 300, "num_experts": 4,
    "num_experts_per_tok": 2, "max_position_embeddings": 64})";
  const auto model = shard::SyntheticModel::make(shape.string(), {.rules = shard::format_rules(FormatId::kBf16), .sparsity = {}});
  INFO((model.ok() ? "" : model.error().message));
  REQUIRE(model.ok());
  for (const int n_ranks : {1, 2}) CHECK(last_logits(*model, {.n_ranks = n_ranks, .n_tokens = 30}).size() == 300);
}

namespace {

/// How many tokens each matrix of a mixture was multiplied with.
class ExpertCounts final : public engine::ActivationTap {
 public:
  explicit ExpertCounts(std::uint32_t neurons) : neurons_(neurons) {}
  void multiplied(const engine::MatrixView& matrix, const engine::Activations&, int n_tokens) override {
    if (matrix.rows == neurons_) tokens[&matrix] += n_tokens;  // gates and ups
  }
  std::map<const engine::MatrixView*, int> tokens;

 private:
  std::uint32_t neurons_;
};

}  // namespace

TEST_CASE("a step multiplies with the experts that its tokens chose, and with no others") {
  const auto shape = tests::scratch_folder() / "mixture.json";
  std::ofstream(shape) << R"({"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 128,
    "intermediate_size": 384, "moe_intermediate_size": 48, "num_experts": 24, "num_experts_per_tok": 3, "norm_topk_prob": true,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": 300,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "decoder_sparse_step": 1, "mlp_only_layers": []})";
  const auto model = shard::SyntheticModel::make(shape.string(), {.rules = shard::format_rules(FormatId::kInt4)});
  INFO((model.ok() ? "" : model.error().message));
  REQUIRE(model.ok());
  const auto plan = shard::make_plan(model->manifest().config, model->manifest().paths, std::vector<shard::RankMachine>(1), {});
  REQUIRE(plan.ok());
  const worker::SliceProvider slices = [&](int rank, const shard::SliceLayout& layout) {
    return model->slice(plan->ranks[static_cast<std::size_t>(rank)], layout, 1);
  };
  ExpertCounts counts(48);
  worker::LocalRanksOptions options;
  options.tap = &counts;
  auto ranks = worker::LocalRanks::start(model->manifest(), *plan, slices, options);
  REQUIRE(ranks.ok());
  for (const int n_tokens : {1, 2, 7}) {
    CAPTURE(n_tokens);
    counts.tokens.clear();
    engine::Step step;
    for (int t = 0; t < n_tokens; ++t) step.tokens.push_back(17 * t + 5);
    step.sequences = {{0, n_tokens, 0, 0, 1}};
    step.pages = {0};
    step.rows = {{.token_index = n_tokens - 1, .flags = engine::kRowFullLogits}};
    engine::StepResult result;
    REQUIRE((*ranks)->run(step, result).ok());
    // Gate and up of three experts a token in each of four layers, fewer where tokens chose the same.
    const auto most = static_cast<std::size_t>(4 * 2 * 3 * n_tokens);
    if (n_tokens == 1) CHECK(counts.tokens.size() == most);
    CHECK(counts.tokens.size() <= most);
    CHECK(counts.tokens.size() < 4 * 2 * 24);
    int all = 0;
    for (const auto& [matrix, n] : counts.tokens) all += n;
    CHECK(all == 4 * 2 * 3 * n_tokens);
  }
}
