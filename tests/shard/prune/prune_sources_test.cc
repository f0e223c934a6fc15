// Pruning models that are not stored as plain bf16: GGUF, compressed-tensors, blocks of FP8 and FP4. What comes out is a plain directory.
#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>

#include "shard/prune/prune_model.h"
#include "shard/source_model.h"
#include "tests/shard/prune/model_weights.h"
#include "tests/shard/prune/pruned_folders.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

std::filesystem::path pruned(const std::filesystem::path& source, const PruneOptions& options) {
  const auto out = new_folder("pruned-source");
  const auto report = prune_model(source, out, options);
  if (!report.ok()) FAIL(report.error().message);
  return out;
}

std::string config_of(const std::filesystem::path& folder) { return contents(folder).at("config.json"); }

/// With no zeros to make, the source's numbers come out; with half of them, half.
void check_source(const std::filesystem::path& source) {
  CAPTURE(source.string());
  PruneOptions options;
  options.threads = 2;
  options.rules = {.method = PruneMethod::kMagnitude, .sparsity = 0};
  {
    const auto out = pruned(source, options);
    // Matrices become bf16; what is not pruned keeps every bit.
    const bool same = all_weights(out) == all_weights(source, nullptr, true);
    CHECK(same);
    CHECK(config_of(out).find("quantization_config") == std::string::npos);
    CHECK(config_of(out).find("compression_config") == std::string::npos);
  }
  const auto model = SourceModel::open(source);
  REQUIRE(model.ok());
  if (model->config().latent.used()) return;  // attention stays dense: another share of zeros
  double before = 0, after = 0;
  all_weights(source, &before);
  options.rules = {.method = PruneMethod::kSparseGpt, .refit = true, .sparsity = 0.6, .values = PrunedValues::kInt4};
  options.windows = some_windows(model->config().vocab_size, 6);
  all_weights(pruned(source, options), &after);
  CHECK(after >= std::max(before, 0.6) - 0.02);
  CHECK(after <= std::max(before, 0.6) + 0.12);  // rounding to int4 makes zeros of small weights
}

}  // namespace

TEST_CASE("a pruned encoder makes one vector of many as its source does") {
  const auto source = new_folder("pooling-source");
  std::filesystem::copy(golden_folder("bert"), source, std::filesystem::copy_options::recursive);
  PruneOptions options;
  options.rules = {.method = PruneMethod::kMagnitude};
  const auto check = [&](engine::Pooling pooling, bool unit_length) {
    const auto model = SourceModel::open(pruned(source, options));
    REQUIRE(model.ok());
    CHECK(model->config().pooling == pooling);
    CHECK(model->config().unit_length == unit_length);
  };
  check(engine::Pooling::kMean, true);
  std::ofstream(source / "modules.json") << R"([{"type": "sentence_transformers.models.Pooling", "path": "first"}])";
  std::filesystem::create_directories(source / "first");
  std::ofstream(source / "first/config.json") << R"({"pooling_mode_cls_token": true})";
  check(engine::Pooling::kFirst, false);
}

TEST_CASE("GGUF files of any blocks are pruned") {
  COLONNADE_SHARED_PATH(golden, "golden");
  for (const char* name : {"llama/llama.Q8_0.gguf", "llama/llama.Q4_0.gguf", "llama/llama.F16.gguf", "llama_k/llama_k.Q4_K_M.gguf", "llama_k/llama_k.Q2_K.gguf",
                           "qwen3_moe/qwen3_moe.Q4_0.gguf", "gguf_extra/phi3.F32.gguf", "gguf_extra/gemma2.F32.gguf", "gpt_oss_mxfp4/gpt_oss.MXFP4.gguf",
                           "deepseek_v3/deepseek_v3.Q8_0.gguf"})
    check_source(golden / name);
}

TEST_CASE("quantised and sparse safetensors are pruned") {
  COLONNADE_SHARED_PATH(golden, "golden");
  for (const char* name : {"llama_f16", "llama_int8", "llama_int8_pack", "llama_int4_pack", "llama_int4_pack_asym", "llama_sparse_bitmask", "llama_sparse24_bitmask",
                           "deepseek_v3_fp8", "gpt_oss_mxfp4"})
    check_source(golden / name);
}

TEST_CASE("a real small model is pruned in the layouts of compressed-tensors") {
  COLONNADE_SHARED_PATH(derived, "data/sparse/derived-from-stories260K");
  for (const char* name : {"int-quantized-int8", "pack-quantized-int4-asym", "sparse-24-bitmask", "sparse-bitmask-int8", "sparse-bitmask-legacy-names", "sparse-bitmask-90"})
    check_source(derived / name);
}

TEST_CASE("a quantised model that is broken or unknown is refused in one line and nothing is written") {
  COLONNADE_SHARED_PATH(golden, "golden");
  const auto folder = scratch_folder();
  const auto refused = [&](const std::filesystem::path& source, const std::string& part) {
    PruneOptions options;
    options.rules.method = PruneMethod::kMagnitude;
    const auto report = prune_model(source, folder / "out", options);
    REQUIRE_FALSE(report.ok());
    CHECK_THAT(report.error().message, Catch::Matchers::Contains(part) && !Catch::Matchers::Contains("\n"));
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
  };
  std::filesystem::copy_file(golden / "llama/llama.Q4_0.gguf", folder / "cut.gguf");
  std::filesystem::resize_file(folder / "cut.gguf", std::filesystem::file_size(folder / "cut.gguf") / 2);
  refused(folder / "cut.gguf", "cut.gguf");
  std::filesystem::copy(golden / "llama_int8", folder / "unknown", std::filesystem::copy_options::recursive);
  std::string config = config_of(folder / "unknown");
  const auto at = config.find("compressed-tensors");
  REQUIRE(at != std::string::npos);
  std::ofstream(folder / "unknown/config.json", std::ios::binary) << config.replace(at, 18, "some-other-method");
  refused(folder / "unknown", "some-other-method");
}
