// Encoders against vectors that other implementations computed, at every rank and stage count, alone and in a batch.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>

#include "engine/kernels/kernels.h"
#include "shard/mapped_file.h"
#include "shard/safetensors.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;
using engine::FormatId;

namespace {

std::filesystem::path folder() { return tests::source_folder() / "tests/data/golden/bert"; }

struct EncoderGolden {
  std::vector<std::int32_t> tokens;
  std::vector<float> hidden, mean, mean_unit;
};

EncoderGolden read_encoder_golden(const char* file_name = "golden.safetensors") {
  auto file = shard::MappedFile::open(folder() / file_name);
  REQUIRE(file.ok());
  const auto tensors = shard::parse_safetensors(file->bytes(), "golden.safetensors");
  REQUIRE(tensors.ok());
  EncoderGolden golden;
  const auto take = [&](const char* name, auto& values) {
    for (const shard::Tensor& tensor : *tensors) {
      if (tensor.name != name) continue;
      values.resize(tensor.data.size() / 4);
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    }
    REQUIRE_FALSE(values.empty());
  };
  take("tokens", golden.tokens);
  take("last_hidden_state", golden.hidden);
  take("embedding_mean", golden.mean);
  take("embedding_mean_norm", golden.mean_unit);
  return golden;
}

worker::LocalRanksOptions exact() {
  worker::LocalRanksOptions options;
  options.kv_type = engine::KvType::kF32;
  return options;
}

/// One row with the vector of a sequence.
void ask_pooled(engine::Step& step, std::size_t sequence) {
  engine::StepRow row;
  row.token_index = step.sequences[sequence].first_token + step.sequences[sequence].n_tokens - 1;
  row.flags = engine::kRowPooled;
  step.rows.push_back(row);
}

}  // namespace

TEST_CASE("bert gives the golden vectors of every token and of the sequence, on any number of ranks and stages") {
  const EncoderGolden golden = read_encoder_golden();
  const int n_tokens = static_cast<int>(golden.tokens.size());
  for (const auto& [n_ranks, n_stages] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {7, 1}, {2, 2}, {5, 2}, {3, 3}}) {
    CAPTURE(n_ranks, n_stages);
    for (const FormatId values : {FormatId::kF32, FormatId::kBf16}) {
      TestJob job(packed_model(folder(), values), n_ranks, n_stages, exact());
      engine::Step step;
      add_sequence(step, golden.tokens, 0, n_tokens, 0);
      CHECK(max_difference(job.run(step).logits, golden.hidden) < 1e-4);
      step.rows.clear();
      ask_pooled(step, 0);
      // modules.json asks for vectors of length 1.
      CHECK(max_difference(job.run(step).logits, golden.mean_unit) < 1e-4);
    }
  }
}

TEST_CASE("bert with output matrices of several heads gives the golden vectors and does not depend on cores") {
  const EncoderGolden golden = read_encoder_golden();
  for (const int output_heads : {2, 3, 4}) {
    for (const auto& [n_ranks, n_stages] : std::vector<std::pair<int, int>>{{1, 1}, {2, 1}, {5, 1}, {2, 2}}) {
      CAPTURE(output_heads, n_ranks, n_stages);
      engine::Step step;
      add_sequence(step, golden.tokens, 0, static_cast<int>(golden.tokens.size()), 0);
      auto options = exact();
      const auto found = TestJob(packed_model(folder(), FormatId::kBf16, output_heads), n_ranks, n_stages, options).run(step).logits;
      CHECK(max_difference(found, golden.hidden) < 1e-4);
      options.threads_per_rank = 3;
      CHECK(TestJob(packed_model(folder(), FormatId::kBf16, output_heads), n_ranks, n_stages, options).run(step).logits == found);
    }
  }
}

TEST_CASE("sequences in several blocks of tokens have the bits that each has alone, in formats that are multiplied as they are packed") {
  // Seven sequences are two blocks and a part of a third; 24 tokens are multiplied row by row, where rows are faster.
  const EncoderGolden golden = read_encoder_golden();
  const int n_tokens = static_cast<int>(golden.tokens.size()), n_sequences = 7;
  REQUIRE(n_tokens == 24);
  for (const FormatId values : {FormatId::kPermuteInt8, FormatId::kGapInt4, FormatId::kQuadInt8}) {
    for (const int n_ranks : {1, 3}) {
      const PackedModel& packed = packed_model(folder(), values, n_ranks == 1 ? 4 : 1);
      std::vector<std::vector<std::int32_t>> sequences;
      for (int i = 0; i < n_sequences; ++i) {
        sequences.push_back(golden.tokens);
        std::rotate(sequences.back().begin() + 1, sequences.back().begin() + 1 + i, sequences.back().end());
      }
      worker::LocalRanksOptions options;
      options.isa = "scalar";
      options.n_pages = n_sequences;
      options.max_step_tokens = n_sequences * n_tokens;
      std::vector<float> alone;
      for (const auto& tokens : sequences) {
        engine::Step step;
        add_sequence(step, tokens, 0, n_tokens, 0);
        const std::vector<float> hidden = TestJob(packed, n_ranks, 1, options).run(step).logits;
        alone.insert(alone.end(), hidden.begin(), hidden.end());
      }
      engine::Step step;
      for (int i = 0; i < n_sequences; ++i) add_sequence(step, sequences[static_cast<std::size_t>(i)], 0, n_tokens, i);
      for (const engine::KernelTable* table : engine::all_kernels()) {
        if (!engine::kernels_supported(*table)) continue;
        options.isa = table->name;
        for (const int threads : {1, 3}) {
          options.threads_per_rank = threads;
          CAPTURE(static_cast<int>(values), n_ranks, table->name, threads);
          CHECK((TestJob(packed, n_ranks, 1, options).run(step).logits == alone));
        }
      }
    }
  }
}

TEST_CASE("types of tokens give the golden vectors, also beside sequences that have none") {
  const EncoderGolden golden = read_encoder_golden("golden_types.safetensors"), plain = read_encoder_golden();
  const int n_tokens = static_cast<int>(golden.tokens.size());
  REQUIRE(n_tokens == 24);
  for (const auto& [n_ranks, n_stages] : std::vector<std::pair<int, int>>{{1, 1}, {3, 1}, {2, 2}}) {
    CAPTURE(n_ranks, n_stages);
    TestJob job(packed_model(folder(), FormatId::kF32), n_ranks, n_stages, exact());
    engine::Step step;
    add_sequence(step, plain.tokens, 0, n_tokens, 0);
    add_sequence(step, golden.tokens, 0, n_tokens, 1);
    step.token_types.assign(static_cast<std::size_t>(2 * n_tokens), 0);
    std::fill_n(step.token_types.begin() + n_tokens + 12, 12, 1);
    const std::vector<float> found = job.run(step).logits;
    const auto half = static_cast<std::ptrdiff_t>(found.size() / 2);
    CHECK(max_difference({found.begin(), found.begin() + half}, plain.hidden) < 1e-4);
    CHECK(max_difference({found.begin() + half, found.end()}, golden.hidden) < 1e-4);
  }
}

TEST_CASE("bert in a GGUF file gives the golden vectors") {
  COLONNADE_SHARED_PATH(file, "golden/gguf_extra/bert.F32.gguf");
  const EncoderGolden golden = read_encoder_golden();
  const PackedModel& model = packed_model(file, FormatId::kF32);
  CHECK(model.manifest.config.pooling == engine::Pooling::kMean);
  TestJob job(model, 2, 1, exact());
  engine::Step step;
  add_sequence(step, golden.tokens, 0, static_cast<int>(golden.tokens.size()), 0);
  CHECK(max_difference(job.run(step).logits, golden.hidden) < 1e-4);
}

TEST_CASE("an encoder's vectors do not depend on the batch, on cores or on the schedule") {
  const EncoderGolden golden = read_encoder_golden();
  auto options = exact();
  std::vector<float> alone;
  for (const int threads : {1, 3}) {
    for (const auto schedule : {engine::Schedule::kRows, engine::Schedule::kColumns}) {
      options.threads_per_rank = threads;
      options.schedule = schedule;
      TestJob job(packed_model(folder(), FormatId::kInt8), 2, 1, options);
      const std::vector<std::int32_t> few(golden.tokens.begin(), golden.tokens.begin() + 3);
      engine::Step step;
      add_sequence(step, few, 0, 3, 5);
      step.rows.clear();
      ask_pooled(step, 0);
      const auto found = job.run(step).logits;
      if (alone.empty()) alone = found;
      CHECK(found == alone);

      engine::Step batch;
      const int n_tokens = static_cast<int>(golden.tokens.size());
      add_sequence(batch, golden.tokens, 0, n_tokens, 0);
      add_sequence(batch, few, 0, 3, 9);
      add_sequence(batch, golden.tokens, 0, 17, 4);
      batch.rows.clear();
      for (const std::size_t s : {0u, 1u, 2u}) ask_pooled(batch, s);
      const auto together = job.run(batch).logits;
      REQUIRE(together.size() == 3 * alone.size());
      if (schedule == engine::Schedule::kRows)
        CHECK(std::vector<float>(together.begin() + 64, together.begin() + 128) == alone);
    }
  }
}

TEST_CASE("steps that are none for an encoder are refused") {
  const EncoderGolden golden = read_encoder_golden();
  auto options = exact();
  const PackedModel& model = packed_model(folder(), FormatId::kF32);
  shard::PlanOptions plan_options;
  const auto plan = shard::make_plan(model.manifest.config, model.manifest.paths, std::vector<shard::RankMachine>(1), plan_options);
  REQUIRE(plan.ok());
  auto ranks = worker::LocalRanks::start(model.manifest, *plan, worker::slices_of(model.manifest, model.directory), options);
  REQUIRE(ranks.ok());
  engine::StepResult result;
  engine::Step step;
  add_sequence(step, golden.tokens, 4, 3, 0);
  auto status = (*ranks)->run(step, result);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().message, Catch::Matchers::Contains("whole sequences") && Catch::Matchers::Contains("position 4"));
  for (const auto& [types, what] : {std::pair(std::vector<std::int32_t>{0, 2, 0}, "a token of type 2, the model has 2 types"),
                                    {{0, -1, 0}, "a token of type -1"}, {{0, 1}, "a type for each of 3 tokens, found 2"}}) {
    step = {};
    add_sequence(step, golden.tokens, 0, 3, 0);
    step.token_types = types;
    status = (*ranks)->run(step, result);
    REQUIRE_FALSE(status.ok());
    CHECK_THAT(status.error().message, Catch::Matchers::Contains(what));
  }
  step = {};
  add_sequence(step, golden.tokens, 0, 3, 0);
  step.rows[0].flags = engine::kRowSample;
  status = (*ranks)->run(step, result);
  REQUIRE_FALSE(status.ok());
  CHECK_THAT(status.error().message, Catch::Matchers::Contains("no tokens to choose"));
}
