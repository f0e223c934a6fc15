#include <catch2/catch.hpp>

#include <algorithm>

#include "shard/checkpoint.h"
#include "shard/source_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

std::string open_error(const std::filesystem::path& directory) {
  const auto model = shard::SourceModel::open(directory);
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().message.find('\n') == std::string::npos);
  return model.error().message;
}

/// A directory with two files and their index.
std::filesystem::path sharded() {
  const auto directory = scratch_folder();
  write_file(directory / "one.safetensors", safetensors_bytes({{"a", {"U8", {1}, "a"}}, {"b", {"U8", {1}, "b"}}}));
  write_file(directory / "two.safetensors", safetensors_bytes({{"c", {"U8", {1}, "c"}}}));
  write_file(directory / "model.safetensors.index.json",
             R"({"metadata":{},"weight_map":{"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"}})");
  return directory;
}

}  // namespace

TEST_CASE("Many files are one checkpoint") {
  const auto checkpoint = shard::Checkpoint::open(sharded());
  REQUIRE(checkpoint.ok());
  for (const char* name : {"a", "b", "c"}) {
    REQUIRE(checkpoint->find(name) != nullptr);
    CHECK(static_cast<char>(checkpoint->find(name)->data[0]) == name[0]);
  }
  CHECK(checkpoint->find("d") == nullptr);
  CHECK(checkpoint->file_of(*checkpoint->find("c")) == "two.safetensors");
}

TEST_CASE("An index that is wrong is refused by name") {
  const auto directory = sharded();
  const auto index = directory / "model.safetensors.index.json";
  const auto error = [&] {
    const auto checkpoint = shard::Checkpoint::open(directory);
    REQUIRE_FALSE(checkpoint.ok());
    return checkpoint.error().message;
  };
  write_file(index, R"({"weight_map":{"x":"one.safetensors"}})");
  CHECK_THAT(error(), Contains("one.safetensors has x, but it has not"));
  write_file(index, R"({"weight_map":{"x":"../one.safetensors"}})");
  CHECK_THAT(error(), Contains("file beside it") && Contains("../one"));
  write_file(index, R"({"weight_map":{"x":7}})");
  CHECK_THAT(error(), Contains("found 7"));
  write_file(index, R"({"weight_map":[]})");
  CHECK_THAT(error(), Contains("weight_map"));
  write_file(index, "[1]");
  CHECK_THAT(error(), Contains("weight_map"));
  write_file(index, R"({"weight_map":{"x":"three.safetensors"}})");
  CHECK_THAT(error(), Contains("three.safetensors, which is not in"));
}

TEST_CASE("A directory without weights, or with a file missing or truncated, says so") {
  const auto directory = copy_golden("llama", scratch_folder() / "m");
  CHECK(shard::SourceModel::open(directory).ok());

  const std::string whole = read_file(directory / "model.safetensors");
  write_file(directory / "model.safetensors", whole.substr(0, whole.size() / 2));
  CHECK_THAT(open_error(directory), Contains("model.safetensors: tensor") && Contains("truncated"));
  write_file(directory / "model.safetensors", whole.substr(0, 100));
  CHECK_THAT(open_error(directory), Contains("model.safetensors: header needs") && Contains("truncated"));
  std::filesystem::remove(directory / "model.safetensors");
  CHECK_THAT(open_error(directory), Contains("expected model.safetensors or model.safetensors.index.json, found neither"));
  std::filesystem::remove(directory / "config.json");
  CHECK_THAT(open_error(directory), Contains("config.json: cannot be opened"));
}

TEST_CASE("A wrong shape, dtype or missing tensor is named with what was expected and found") {
  const auto directory = copy_golden("llama", scratch_folder() / "m");
  const std::string weights = read_file(directory / "model.safetensors");
  const std::string config = read_file(directory / "config.json");
  // Same length, so that the header's length stays right: q_proj becomes q_prox.
  write_file(directory / "model.safetensors", replaced(weights, "layers.1.self_attn.q_proj", "layers.1.self_attn.q_prox"));
  CHECK_THAT(open_error(directory), Contains("tensor model.layers.1.self_attn.q_proj.weight is missing"));
  write_file(directory / "model.safetensors", weights);
  write_file(directory / "config.json", replaced(config, "\"vocab_size\": 320", "\"vocab_size\": 321"));
  CHECK_THAT(open_error(directory), Contains("tensor model.embed_tokens.weight in model.safetensors: expected shape [321, 64], found [320, 64]"));
  write_file(directory / "config.json", replaced(config, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"));
  CHECK_THAT(open_error(directory), Contains("tensor model.layers.2.input_layernorm.weight is missing"));
}

TEST_CASE("The same weights in one file and in several files read the same") {
  COLONNADE_SHARED_PATH(sharded_path, "golden/llama_sharded");
  const auto one = shard::Checkpoint::open(golden("llama"));
  const auto many = shard::Checkpoint::open(sharded_path);
  REQUIRE(one.ok());
  REQUIRE(many.ok());
  CHECK(many->file_names().size() > 1);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.1.mlp.down_proj.weight"}) {
    const auto *a = one->find(name), *b = many->find(name);
    REQUIRE((a != nullptr && b != nullptr));
    CHECK(std::ranges::equal(a->data, b->data));
  }
}
