// The same weights under other names: text parts of models that are more than text, and norms of old BERT checkpoints.
#include <catch2/catch.hpp>

#include <functional>

#include "engine/base/json.h"
#include "shard/hf_config.h"
#include "shard/source_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

using Rename = std::function<std::string(const std::string&)>;

/// A golden with tensors of other names (empty: left out) and another config.json.
std::filesystem::path renamed(const std::string& name, const Json& config, const Rename& rename) {
  const auto folder = scratch_folder();
  const std::string file = read_file(golden(name) / "model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const Json header = Json::parse(file.substr(8, length));
  FileTensors tensors;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__" || rename(key).empty()) continue;
    const auto offsets = entry["data_offsets"].get<std::vector<std::uint64_t>>();
    tensors[rename(key)] = {entry["dtype"].get<std::string>(), entry["shape"].get<std::vector<std::uint64_t>>(),
                            file.substr(8 + length + offsets[0], offsets[1] - offsets[0])};
  }
  tensors["vision_tower.patch.weight"] = {"F32", {1, 1}, std::string(4, '\0')};
  write_file(folder / "model.safetensors", safetensors_bytes(tensors));
  write_file(folder / "config.json", config.dump());
  return folder;
}

Json config_of(const std::string& name) { return Json::parse(read_file(golden(name) / "config.json")); }

/// Everything that packing would read.
std::vector<float> all_numbers(const std::filesystem::path& folder) {
  const auto model = shard::SourceModel::open(folder);
  INFO((model.ok() ? "" : model.error().message));
  REQUIRE(model.ok());
  std::vector<float> numbers;
  for (const shard::PathSpec& path : shard::enumerate_paths(model->config(), shard::format_choice(engine::FormatId::kF32))) {
    const shard::PathWeights weights = model->weights_of(path);
    for (const shard::MatrixSpec& matrix : path.matrices) {
      for (std::uint32_t row = 0; row < matrix.rows; ++row) {
        numbers.resize(numbers.size() + matrix.cols);
        REQUIRE(weights.rows(matrix, row, 1, numbers.data() + numbers.size() - matrix.cols).ok());
      }
    }
    for (const shard::VectorSpec& vector : path.vectors) {
      numbers.resize(numbers.size() + vector.count);
      REQUIRE(weights.vector(vector, numbers.data() + numbers.size() - vector.count).ok());
    }
  }
  return numbers;
}

/// transformers from 4.52 on: model.language_model.layers…, and lm_head outside.
std::string newer_name(const std::string& name) {
  return name.starts_with("model.") ? "model.language_model." + name.substr(6) : name;
}

}  // namespace

TEST_CASE("the text of a Gemma3ForConditionalGeneration is the Gemma3ForCausalLM that it holds, in both generations of names") {
  const Json plain = config_of("gemma3");
  const Json whole = {{"architectures", {"Gemma3ForConditionalGeneration"}}, {"model_type", "gemma3"}, {"text_config", plain},
                      {"vision_config", {{"hidden_size", 16}}}, {"image_token_index", 262144}};
  const auto expected = all_numbers(golden("gemma3"));
  CHECK(all_numbers(renamed("gemma3", whole, [](const std::string& name) { return "language_model." + name; })) == expected);
  CHECK(all_numbers(renamed("gemma3", whole, newer_name)) == expected);
  CHECK(all_numbers(renamed("gemma3", whole, [](const std::string& name) { return name; })) == expected);

  // What the published files of 4B leave out.
  Json few = whole;
  few["text_config"].erase("num_attention_heads");
  few["text_config"].erase("num_key_value_heads");
  few["text_config"].erase("head_dim");
  few["text_config"].erase("vocab_size");
  few["text_config"]["hidden_size"] = 2560;
  const auto config = shard::parse_model_config(few.dump(), "config.json");
  REQUIRE(config.ok());
  CHECK(config->family == "gemma3_text");
  CHECK(config->n_heads == 8);
  CHECK(config->n_kv_heads == 4);
  CHECK(config->head_dim == 256);
  CHECK(config->vocab_size == 262208);
}

TEST_CASE("the text of a Llama4ForConditionalGeneration is the Llama4ForCausalLM that it holds, in both generations of names") {
  const Json whole = config_of("llama4");
  Json plain = whole["text_config"];
  plain["architectures"] = {"Llama4ForCausalLM"};
  const auto without = [](const std::string& name) { return name.starts_with("language_model.") ? name.substr(15) : ""; };
  const auto expected = all_numbers(golden("llama4"));
  CHECK(all_numbers(renamed("llama4", plain, without)) == expected);
  CHECK(all_numbers(renamed("llama4", whole, [&](const std::string& name) { return newer_name(without(name)); })) == expected);
}

TEST_CASE("BERT under the names of its first checkpoints: gamma and beta, a prefix, a head for masked words") {
  Json config = config_of("bert");
  config["architectures"] = {"BertForMaskedLM"};
  const auto old_name = [](const std::string& name) {
    if (name.find("LayerNorm.weight") != name.npos) return "bert." + replaced(name, "LayerNorm.weight", "LayerNorm.gamma");
    return "bert." + replaced(name, "LayerNorm.bias", "LayerNorm.beta");
  };
  CHECK(all_numbers(renamed("bert", config, old_name)) == all_numbers(golden("bert")));
  const auto without_one = [&](const std::string& name) {
    return name == "encoder.layer.1.output.LayerNorm.bias" ? std::string() : old_name(name);
  };
  const auto model = shard::SourceModel::open(renamed("bert", config, without_one));
  REQUIRE_FALSE(model.ok());
  CHECK_THAT(model.error().message, Contains("bert.encoder.layer.1.output.LayerNorm.beta"));
}

TEST_CASE("a model of text and images whose text is of another family, or not there, is refused by name") {
  const auto refusal = [](const Json& config) {
    const auto read = shard::parse_model_config(config.dump(), "config.json");
    REQUIRE_FALSE(read.ok());
    return read.error().message;
  };
  Json whole = config_of("llama4");
  whole["text_config"]["model_type"] = "llama";
  CHECK(refusal(whole) == "config.json: text_config: field model_type: expected \"llama4_text\", found \"llama\"");
  whole.erase("text_config");
  CHECK(refusal(whole) == "config.json: field text_config: expected an object, found nothing");
  whole["text_config"] = {1};
  CHECK(refusal(whole) == "config.json: field text_config: expected an object, found [1]");
}
