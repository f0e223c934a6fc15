// Masks of rows: what is chosen is allowed, and is what sampling among the allowed logits gives, on any number of ranks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "engine/text/sampler.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;

namespace {

const std::vector<std::int32_t> kTokens = {3, 14, 15, 92, 6, 5, 35, 89};

struct Choice {
  std::int32_t token;
  float logprob;
};

/// Of the last token's logits, by the definition.
Choice choose(const std::vector<float>& logits, const engine::Step& step, const engine::StepRow& row) {
  const auto allowed = [&](std::size_t t) { return (step.masks[static_cast<std::size_t>(row.first_mask) + t / 32] >> (t % 32) & 1) != 0; };
  std::vector<engine::Candidate> candidates;
  double sum = 0, all = 0;
  float largest = -INFINITY;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    all += std::exp(static_cast<double>(logits[t]));
    if (!allowed(t)) continue;
    float logit = logits[t];
    for (const engine::LogitEdit& edit : step.edits)
      if (edit.token == static_cast<std::int32_t>(t)) logit += edit.add;
    candidates.push_back({static_cast<std::int32_t>(t), logit});
    largest = std::max(largest, logit);
  }
  for (const engine::Candidate& c : candidates) sum += std::exp((static_cast<double>(c.logit) - largest) / std::max(row.temperature, 1e-6f));
  std::sort(candidates.begin(), candidates.end(), engine::candidate_before);
  const auto token = engine::choose_token(candidates, true, largest, sum,
                                          {row.temperature, row.top_p, row.min_p, row.top_k, row.seed, row.position});
  return {*token, static_cast<float>(logits[static_cast<std::size_t>(*token)] - std::log(all))};
}

}  // namespace

TEST_CASE("tokens are chosen among those that the mask allows, and log-probabilities stay the model's") {
  const auto& model = packed_model(tests::source_folder() / "tests/data/golden/llama", engine::FormatId::kF32);
  const auto vocab = static_cast<std::size_t>(model.manifest.config.vocab_size);
  const std::size_t words = engine::mask_words(static_cast<std::int32_t>(vocab));
  for (const int n_ranks : {1, 3, 7}) {
    TestJob job(model, n_ranks, 1, {});
    std::mt19937 random(17);
    for (int round = 0; round < 60; ++round) {
      engine::Step step;
      add_sequence(step, kTokens, 0, static_cast<int>(kTokens.size()), 0);
      engine::StepRow row = step.rows.back();
      row.flags = engine::kRowSample | engine::kRowFullLogits;
      row.position = static_cast<int>(kTokens.size());
      row.seed = static_cast<std::uint64_t>(round);
      row.n_top = 3;
      // Greedy, ordinary, and so flat that candidates do not suffice; few and many that are allowed.
      row.temperature = std::vector<float>{0, 1, 500}[static_cast<std::size_t>(round % 3)];
      row.top_k = round % 4 == 0 ? 40 : 0;
      row.top_p = round % 5 == 0 ? 0.5f : 1.0f;
      row.first_mask = static_cast<std::int32_t>(round % 2 == 0 ? 0 : words);
      step.masks.assign(2 * words, 0xFFFFFFFFu);
      const std::size_t n_allowed = round < 20 ? 1 + static_cast<std::size_t>(round) / 4 : vocab / 2;
      std::fill_n(step.masks.begin() + row.first_mask, words, 0u);
      for (std::size_t i = 0; i < n_allowed; ++i) {
        const std::size_t t = random() % vocab;
        step.masks[static_cast<std::size_t>(row.first_mask) + t / 32] |= 1u << (t % 32);
      }
      // Bias does not bring back what is forbidden.
      for (std::int32_t t = 0; t < 4; ++t) step.edits.push_back({t * 11, 100.0f, 1.0f});
      row.n_edits = static_cast<std::int32_t>(step.edits.size());
      step.rows = {row};
      const engine::StepResult result = job.run(step);
      const std::vector<float> logits(result.logits.begin(), result.logits.begin() + static_cast<std::ptrdiff_t>(vocab));
      const Choice expected = choose(logits, step, row);
      CAPTURE(n_ranks, round);
      CHECK(result.rows[0].token == expected.token);
      CHECK(result.rows[0].logprob == Approx(expected.logprob).margin(1e-4));
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      CHECK(result.top[0].token == static_cast<std::int32_t>(best));  // whether or not it is allowed
    }
  }
}
