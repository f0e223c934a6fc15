// Logits of models that others have quantised, against what other implementations computed with the dequantised weights.
#include <catch2/catch.hpp>

#include "engine/base/json.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;

namespace {

/// Largest difference of the logits of `model`, kept as f32, from those of the file `golden`.
double difference(const std::filesystem::path& model, const std::filesystem::path& golden, int n_ranks = 1) {
  const Golden expected = read_golden(golden);
  worker::LocalRanksOptions exact;
  exact.kv_type = engine::KvType::kF32;
  TestJob job(packed_model(model, engine::FormatId::kF32), n_ranks, 1, exact);
  return max_difference(job.logits(expected.tokens, 0), expected.logits);
}

}  // namespace

TEST_CASE("GGUF models in every type give the golden logits") {
  COLONNADE_SHARED_PATH(golden, "golden");
  for (const auto& [directory, name, types] : std::vector<std::tuple<std::string, std::string, std::vector<std::string>>>{
           {"llama", "llama", {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}},
           {"llama_k", "llama_k", {"F32", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "Q8_0", "Q4_K_M", "Q3_K_M"}},
           {"qwen3_moe", "qwen3_moe", {"F32", "F16", "Q8_0", "Q4_0"}}}) {
    for (const std::string& type : types) {
      CAPTURE(name, type);
      const auto own = golden / directory / ("golden." + type + ".safetensors");
      const auto expected = std::filesystem::exists(own) ? own : golden / directory / "golden.safetensors";
      CHECK(difference(golden / directory / (name + "." + type + ".gguf"), expected) < 1e-3);
    }
  }
}

TEST_CASE("GGUF models of every family give the golden logits") {
  COLONNADE_SHARED_PATH(golden, "golden");
  for (const char* name : {"llama3", "mixtral", "qwen2", "qwen3", "phi3", "qwen2_moe", "olmoe", "glm4_moe", "gpt_oss_trunc", "gemma2", "gemma3", "granitemoe", "deepseek_v2", "deepseek_v3_group"}) {
    CAPTURE(name);
    CHECK(difference(golden / "gguf_extra" / (std::string(name) + ".F32.gguf"), golden / name / "golden.safetensors", 2) < 1e-3);
  }
  // Three ways to store the heads' matrices of latents.
  for (const char* layout : {"", ".kvb_split", ".mla"}) {
    CAPTURE(layout);
    CHECK(difference(golden / "deepseek_v3" / (std::string("deepseek_v3") + layout + ".F32.gguf"), golden / "deepseek_v3/golden.safetensors", 2) < 1e-3);
  }
  for (const char* type : {"Q8_0", "Q4_0"})
    CHECK(difference(golden / "deepseek_v3" / (std::string("deepseek_v3.") + type + ".gguf"), golden / "deepseek_v3" / (std::string("golden.") + type + ".safetensors"), 2) < 1e-3);
  CHECK(difference(golden / "gpt_oss_mxfp4/gpt_oss.MXFP4.gguf", golden / "gpt_oss_mxfp4/golden.MXFP4.safetensors", 3) < 1e-3);
}

TEST_CASE("Quantised and sparse safetensors give the golden logits") {
  COLONNADE_SHARED_PATH(golden, "golden");
  for (const char* name : {"llama_f16", "llama_sparse_bitmask", "llama_sparse24_bitmask", "llama_int4_pack", "llama_int4_pack_asym", "llama_int8", "llama_int8_pack", "gpt_oss_mxfp4", "deepseek_v3_fp8"}) {
    CAPTURE(name);
    CHECK(difference(golden / name, golden / name / "golden.safetensors") < 1e-3);
  }
}

TEST_CASE("A real small model in nine layouts gives the logits that an independent decoder gives") {
  COLONNADE_SHARED_PATH(derived, "data/sparse/derived-from-stories260K");
  for (const char* name : {"int-quantized-int8", "pack-quantized-int4", "pack-quantized-int4-asym", "sparse-24-bitmask", "sparse-bitmask", "sparse-bitmask-90", "sparse-bitmask-bf16",
                           "sparse-bitmask-int8", "sparse-bitmask-legacy-names"}) {
    CAPTURE(name);
    const Json expected = read_json(derived / name / "expected_logits.json");
    worker::LocalRanksOptions exact;
    exact.kv_type = engine::KvType::kF32;
    TestJob job(packed_model(derived / name, engine::FormatId::kF32), 2, 1, exact);
    const auto tokens = expected.at("teacher_forced_ids").get<std::vector<std::int32_t>>();
    std::vector<float> logits;
    for (const Json& row : expected.at("logits"))
      for (const Json& value : row) logits.push_back(value);
    CHECK(max_difference(job.logits(tokens, 0), logits) < 1e-3);
  }
}
