// The invariants of arithmetic (docs/architecture.md): under one plan a request gives the same bits alone or among
// others, in any chunking, with any number of cores, in either schedule and on every instruction set.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "engine/kernels/kernels.h"
#include "engine/model/rank_context.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using engine::FormatId;
using engine::KvType;
using engine::Schedule;

namespace {

const PackedModel& model(const std::string& name, FormatId values, int output_heads) {
  return packed_model(tests::source_folder() / "tests/data/golden" / name, values, output_heads);
}

std::vector<std::int32_t> golden_tokens(const std::string& name) {
  return read_golden(tests::source_folder() / "tests/data/golden" / name).tokens;
}

struct Case {
  const char* name;
  FormatId values;
  int n_ranks;
  int output_heads = 0;
};
const Case kCases[] = {{"llama", FormatId::kBf16, 1},     {"llama", FormatId::kInt8, 3},  {"qwen3_moe", FormatId::kInt8, 1},
                       {"qwen3_moe", FormatId::kBf16, 3}, {"mistral", FormatId::kInt8, 2}, {"mixtral", FormatId::kBf16, 2},
                       {"llama", FormatId::kInt4, 2},     {"qwen3_moe", FormatId::kPermuteInt8, 2},
                       {"mistral", FormatId::kBitmaskInt4, 3}, {"mixtral", FormatId::kBitmaskBf16, 1},
                       {"llama", FormatId::kBitmaskInt8, 1}, {"qwen3_moe", FormatId::kPermuteInt4, 1},
                       {"deepseek_v3", FormatId::kInt8, 2}, {"deepseek_v2", FormatId::kBf16, 3},
                       {"olmoe", FormatId::kBf16, 3}, {"qwen2_moe", FormatId::kInt4, 1},
                       {"gemma2", FormatId::kInt8, 2}, {"gpt_oss", FormatId::kInt8, 2}, {"granitemoe", FormatId::kBf16, 2},
                       {"llama", FormatId::kGapInt4, 1, 4}, {"gpt_oss", FormatId::kPermuteInt8, 3, 3},
                       {"olmoe", FormatId::kInt8, 2, 2}, {"deepseek_v3", FormatId::kGapInt4, 3, 2},
                       {"llama", FormatId::kQuadInt4, 2, 2}, {"qwen3_moe", FormatId::kQuadInt8, 1}};

/// The goldens' contexts are short: their weights for contexts of 1024.
std::filesystem::path with_long_context(const std::string& name, int sliding_window = 0) {
  const auto folder = tests::scratch_folder() / ("long_" + name);
  std::filesystem::copy(tests::source_folder() / "tests/data/golden" / name, folder, std::filesystem::copy_options::recursive);
  Json config = read_json(folder / "config.json");
  config["max_position_embeddings"] = 1024;
  if (sliding_window > 0) config["sliding_window"] = sliding_window;
  std::ofstream(folder / "config.json") << config.dump();
  return folder;
}

std::vector<std::int32_t> many_tokens(int count) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(i * 7919 % 151);
  return tokens;
}

}  // namespace

TEST_CASE("cores, schedules and chunks do not change a bit") {
  for (const Case& c : kCases) {
    CAPTURE(c.name, c.n_ranks);
    const auto tokens = golden_tokens(c.name);
    const PackedModel& packed = model(c.name, c.values, c.output_heads);
    worker::LocalRanksOptions options;
    options.schedule = Schedule::kRows;
    const auto reference = TestJob(packed, c.n_ranks, 1, options).logits(tokens, 0);
    for (const int threads : {1, 2, 3}) {
      options.threads_per_rank = threads;
      for (const Schedule schedule : {Schedule::kRows, Schedule::kColumns, Schedule::kAuto}) {
        options.schedule = schedule;
        TestJob job(packed, c.n_ranks, 1, options);
        for (const int chunk : {1, 3, 7}) {
          CAPTURE(threads, static_cast<int>(schedule), chunk);
          CHECK(job.logits(tokens, chunk) == reference);
        }
      }
    }
  }
}

TEST_CASE("every instruction set gives the same bits") {
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto tokens = golden_tokens(c.name);
    worker::LocalRanksOptions options;
    options.isa = "scalar";
    const auto reference = TestJob(model(c.name, c.values, c.output_heads), c.n_ranks, 1, options).logits(tokens, 5);
    for (const engine::KernelTable* table : engine::all_kernels()) {
      if (!engine::kernels_supported(*table)) continue;
      CAPTURE(table->name);
      options.isa = table->name;
      CHECK(TestJob(model(c.name, c.values, c.output_heads), c.n_ranks, 1, options).logits(tokens, 5) == reference);
    }
  }
}

TEST_CASE("a long context gives the same bits in any chunks, on any number of cores, with each type of KV cache") {
  // 700 positions are three runs of the cache, which cores share where there are few heads; the window begins and ends
  // within runs.
  const auto tokens = many_tokens(700);
  for (const std::string name : {"llama", "mistral", "deepseek_v3"}) {
    const PackedModel& packed = packed_model(with_long_context(name, name == "mistral" ? 300 : 0), FormatId::kBf16);
    for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kInt8}) {
      worker::LocalRanksOptions options;
      options.kv_type = type;
      options.max_step_tokens = 1024;
      options.schedule = Schedule::kRows;
      const auto reference = TestJob(packed, 1, 1, options).logits(tokens, 1);
      for (const int threads : {1, 2, 5}) {
        options.threads_per_rank = threads;
        for (const Schedule schedule : {Schedule::kRows, Schedule::kColumns}) {
          options.schedule = schedule;
          TestJob job(packed, 1, 1, options);
          for (const int chunk : {3, 150, 0}) {
            CAPTURE(name, static_cast<int>(type), threads, static_cast<int>(schedule), chunk);
            if (schedule == Schedule::kRows || chunk == 3) CHECK(job.logits(tokens, chunk) == reference);
          }
        }
      }
    }
  }
}

TEST_CASE("prompts of several tiles of tokens give the bits of short chunks, in formats that are multiplied as they are packed") {
  // Tiles are of engine::kWideTileTokens; the last one is not full.
  const auto tokens = many_tokens(2 * engine::kWideTileTokens + 21);
  const Case cases[] = {{"llama", FormatId::kGapInt4, 1, 2}, {"llama", FormatId::kPermuteInt8, 2}, {"qwen3_moe", FormatId::kGapInt4, 1},
                        {"deepseek_v3", FormatId::kPermuteInt4, 1, 2}, {"qwen2", FormatId::kPermuteInt4, 1}, {"gpt_oss", FormatId::kGapInt4, 1},
                        {"gemma2", FormatId::kGapInt4, 2}, {"llama", FormatId::kQuadInt8, 2}, {"deepseek_v3", FormatId::kQuadInt4, 1}};
  for (const Case& c : cases) {
    const PackedModel& packed = packed_model(with_long_context(c.name), c.values, c.output_heads);
    worker::LocalRanksOptions options;
    options.max_step_tokens = 256;
    options.schedule = Schedule::kRows;
    const auto reference = TestJob(packed, c.n_ranks, 1, options).logits(tokens, 7);
    for (const int threads : {1, 2}) {
      CAPTURE(c.name, static_cast<int>(c.values), threads);
      options.threads_per_rank = threads;
      CHECK((TestJob(packed, c.n_ranks, 1, options).logits(tokens, 0) == reference));
    }
    for (const engine::KernelTable* table : engine::all_kernels()) {
      if (!engine::kernels_supported(*table)) continue;
      CAPTURE(c.name, static_cast<int>(c.values), table->name);
      options.isa = table->name;
      CHECK((TestJob(packed, c.n_ranks, 1, options).logits(tokens, 0) == reference));
    }
  }
}

TEST_CASE("company in the batch does not change a bit") {
  for (const Case& c : kCases) {
    CAPTURE(c.name, c.n_ranks);
    const auto tokens = golden_tokens(c.name);
    std::vector<std::int32_t> others(tokens.rbegin(), tokens.rend());
    TestJob job(model(c.name, c.values, c.output_heads), c.n_ranks, 1, {});
    const auto alone = job.logits(tokens, 4);
    const std::size_t vocab = alone.size() / tokens.size();
    std::vector<float> together;
    for (int first = 0; first < static_cast<int>(tokens.size()); first += 4) {
      engine::Step step;
      // Another sequence goes first, is at another position and takes more tokens a step.
      const int other = std::min(first / 4 * 5, static_cast<int>(others.size()) - 5);
      add_sequence(step, others, other, 5, 8);
      add_sequence(step, tokens, first, 4, 3);
      const auto result = job.run(step);
      together.insert(together.end(), result.logits.begin() + static_cast<std::ptrdiff_t>(5 * vocab), result.logits.end());
    }
    CHECK(together == alone);
  }
}
