// GGUF files as models: their tensors by the names of transformers, their metadata as small files, and every way to be broken.
#include <catch2/catch.hpp>

#include <map>

#include "shard/checkpoint_tensors.h"
#include "shard/gguf_config.h"
#include "shard/gguf_file.h"
#include "shard/source_model.h"
#include "shard/stored_model.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/shard/gguf_files.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

std::vector<float> all_of(const TensorRows& tensor) {
  std::vector<float> out(tensor.rows() * tensor.cols());
  REQUIRE(tensor.read({0, tensor.rows(), 0, tensor.cols()}, out.data(), tensor.cols()).ok());
  return out;
}

std::string floats(std::size_t n, float first = 0) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = first + static_cast<float>(i);
  return bytes_of(values);
}

/// One layer of width 4 with one head: small, whole, of architecture llama.
GgufWriter small_model() {
  GgufWriter w;
  w.add("general.architecture", std::string("llama"));
  for (const auto& [key, value] : std::map<std::string, std::uint32_t>{{"block_count", 1}, {"embedding_length", 4}, {"feed_forward_length", 6}, {"context_length", 64}, {"attention.head_count", 1}})
    w.add("llama." + key, value);
  w.add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  w.add("tokenizer.ggml.model", std::string("llama"));
  w.add("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>"});
  w.add("tokenizer.ggml.bos_token_id", std::uint32_t{1});
  w.add("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  return w;
}

void add_weights(GgufWriter& w, const std::string& without = "", bool dense = true) {
  const std::vector<GgufTestTensor> tensors{{"token_embd.weight", {4, 3}, 0, floats(12)},
                                            {"output_norm.weight", {4}, 0, floats(4)},
                                            {"blk.0.attn_norm.weight", {4}, 0, floats(4)},
                                            {"blk.0.ffn_norm.weight", {4}, 0, floats(4)},
                                            {"blk.0.attn_q.weight", {4, 4}, 0, floats(16)},
                                            {"blk.0.attn_k.weight", {4, 4}, 0, floats(16)},
                                            {"blk.0.attn_v.weight", {4, 4}, 0, floats(16)},
                                            {"blk.0.attn_output.weight", {4, 4}, 0, floats(16)},
                                            {"blk.0.ffn_gate.weight", {4, 6}, 0, floats(24)},
                                            {"blk.0.ffn_up.weight", {4, 6}, 0, floats(24)},
                                            {"blk.0.ffn_down.weight", {6, 4}, 0, floats(24)}};
  for (const GgufTestTensor& tensor : tensors)
    if (tensor.name != without && (dense || tensor.dims.size() == 1 || !tensor.name.starts_with("blk.0.ffn_"))) w.add(tensor);
}

std::filesystem::path written(const std::string& bytes, const std::string& name = "m.gguf") {
  const auto path = scratch_folder() / name;
  write_file(path, bytes);
  return path;
}

std::string opening_fails(const std::string& bytes) {
  const auto model = SourceModel::open(written(bytes));
  REQUIRE_FALSE(model.ok());
  CHECK_THAT(model.error().message, Contains("m.gguf") && !Contains("\n"));
  return model.error().message;
}

/// Opening fails with another tensor in the file.
std::string tensor_fails(GgufTestTensor tensor) {
  GgufWriter w = small_model();
  add_weights(w);
  w.add(std::move(tensor));
  return opening_fails(w.bytes());
}

}  // namespace

TEST_CASE("The tensors of every GGUF file are those of its Hugging Face directory") {
  COLONNADE_SHARED_PATH(golden_folder, "golden");
  for (const auto& [file, directory] : std::vector<std::pair<std::string, std::string>>{
           {"llama/llama.F32.gguf", "llama"}, {"llama/llama.F16.gguf", "llama"}, {"llama/llama.BF16.gguf", "llama"}, {"gguf_extra/mistral.F32.gguf", "mistral"},
           {"gguf_extra/mixtral.F32.gguf", "mixtral"}, {"qwen3_moe/qwen3_moe.F16.gguf", "qwen3_moe"}, {"gguf_extra/qwen2.F32.gguf", "qwen2"}, {"gguf_extra/phi3.F32.gguf", "phi3"},
           {"gguf_extra/qwen2_moe.F32.gguf", "qwen2_moe"}, {"gguf_extra/olmoe.F32.gguf", "olmoe"}, {"gguf_extra/bert.F32.gguf", "bert"}}) {
    CAPTURE(file);
    const auto model = SourceModel::open(golden_folder / file);
    INFO((model.ok() ? "" : model.error().message));
    REQUIRE(model.ok());
    const auto expected = CheckpointTensors::open_directory(golden_folder / directory);
    REQUIRE(expected.ok());
    auto names = (*expected)->names();
    // GGUF leaves out what gives no embedding.
    std::erase_if(names, [](const std::string& name) { return name.starts_with("pooler.") || name == "embeddings.position_ids"; });
    CHECK(model->source().names() == names);
    for (const std::string& name : names) {
      CAPTURE(name);
      const auto ours = model->source().open(name);
      const auto theirs = (*expected)->open(name);
      REQUIRE(ours.ok());
      REQUIRE(theirs.ok());
      CHECK(ours->shape() == theirs->shape());
      CHECK((all_of(*ours) == all_of(*theirs)));
    }
  }
}

TEST_CASE("Columns of quantised rows are those of the whole rows, at every position") {
  COLONNADE_SHARED_PATH(golden_folder, "golden/llama_k");
  for (const char* type : {"Q2_K", "Q3_K", "Q6_K", "IQ4_XS", "Q8_0"}) {
    const auto model = SourceModel::open(golden_folder / (std::string("llama_k.") + type + ".gguf"));
    REQUIRE(model.ok());
    const auto tensor = model->source().open("model.layers.0.mlp.down_proj.weight");
    REQUIRE(tensor.ok());
    CHECK(tensor->form().name == type);
    const std::vector<float> whole = all_of(*tensor);
    for (const auto& [first, n] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {31, 2}, {32, 32}, {250, 6}, {5, 251}, {255, 1}, {256, 0}}) {
      std::vector<float> part(n + 1, 7.0f);
      REQUIRE(tensor->read({3, 1, first, n}, part.data(), n).ok());
      for (std::size_t i = 0; i < n; ++i) CHECK(part[i] == whole[3 * 256 + first + i]);
      CHECK(part[n] == 7.0f);
    }
  }
}

TEST_CASE("A small GGUF file: configuration, tied embeddings, rows of queries in order") {
  GgufWriter w = small_model();
  add_weights(w);
  w.add("tokenizer.chat_template", std::string("{{ messages }}"));
  w.add("tokenizer.chat_template.tools", std::string("{{ tools }}"));
  const auto path = written(w.bytes(), "small.gguf");
  const auto model = SourceModel::open(path);
  INFO((model.ok() ? "" : model.error().message));
  REQUIRE(model.ok());
  CHECK(model->config().tied_embeddings);
  CHECK(model->config().vocab_size == 3);
  CHECK(model->config().n_kv_heads == 1);
  CHECK(model->config().rope.theta == 10000.0f);
  CHECK(all_of(*model->source().open("model.layers.0.self_attn.v_proj.weight")) == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(all_of(*model->source().open("model.layers.0.self_attn.q_proj.weight")) == std::vector<float>{0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15});
  CHECK(stored_model_name(path) == "small");
  const auto files = read_stored_files(path);
  REQUIRE(files.ok());
  std::map<std::string, std::string> content;
  for (const SourceFile& file : *files) content[file.name] = file.content;
  CHECK(content.at("chat_template.jinja") == "{{ messages }}");
  CHECK(content.at("additional_chat_templates/tools.jinja") == "{{ tools }}");
  CHECK_THAT(content.at("tokenizer_config.json"), Contains("\"bos_token\": \"<s>\"") && Contains("\"eos_token\": \"</s>\""));
  CHECK_THAT(content.at("config.json"), Contains("\"eos_token_id\": [\n  2\n ]"));
  CHECK(content.contains("tokenizer.gguf"));
}

TEST_CASE("Experts of a stack, or each in a tensor of its own as in old files") {
  for (const bool old : {false, true}) {
    GgufWriter w = small_model();
    add_weights(w, "", false);
    w.add("llama.expert_count", std::uint32_t{2});
    w.add("llama.expert_used_count", std::uint32_t{1});
    w.add({"blk.0.ffn_gate_inp.weight", {4, 2}, 0, floats(8)});
    for (const auto& [name, rows, cols] : std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t>>{{"ffn_gate", 6, 4}, {"ffn_up", 6, 4}, {"ffn_down", 4, 6}}) {
      if (!old) w.add({"blk.0." + name + "_exps.weight", {cols, rows, 2}, 0, floats(48)});
      for (std::size_t e = 0; old && e < 2; ++e) w.add({"blk.0." + name + "." + std::to_string(e) + ".weight", {cols, rows}, 0, floats(24, static_cast<float>(e) * 24)});
    }
    const auto model = SourceModel::open(written(w.bytes()));
    INFO((model.ok() ? "" : model.error().message));
    REQUIRE(model.ok());
    CHECK(model->config().family == "mixtral");
    CHECK(all_of(*model->source().open("model.layers.0.block_sparse_moe.experts.1.w2.weight")).front() == 24);
    CHECK(all_of(*model->source().open("model.layers.0.block_sparse_moe.experts.0.w3.weight")).back() == 23);
  }
}

TEST_CASE("A set of GGUF files is opened by any of its names") {
  const auto folder = scratch_folder();
  const auto part = [&](std::uint32_t number, std::uint32_t count, std::uint32_t n_tensors) {
    GgufWriter w = number == 0 ? small_model() : GgufWriter{};
    w.add("split.no", number);
    w.add("split.count", count);
    w.add("split.tensors.count", n_tensors);
    if (number == 1) add_weights(w);
    return w.bytes();
  };
  write_file(folder / "m-00001-of-00002.gguf", part(0, 2, 11));
  write_file(folder / "m-00002-of-00002.gguf", part(1, 2, 11));
  for (const char* name : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}) {
    const auto model = SourceModel::open(folder / name);
    INFO((model.ok() ? "" : model.error().message));
    REQUIRE(model.ok());
    CHECK(list_stored_files(folder / name)->size() == 2);
  }
  const auto failure = [&] { return SourceModel::open(folder / "m-00001-of-00002.gguf").error().message; };
  write_file(folder / "m-00002-of-00002.gguf", part(1, 3, 11));
  CHECK_THAT(failure(), Contains("m-00002-of-00002.gguf") && Contains("its name says 2 files, its split.count 3"));
  write_file(folder / "m-00002-of-00002.gguf", part(0, 2, 11));
  CHECK_THAT(failure(), Contains("expected split.no 1 by its name, found 0"));
  write_file(folder / "m-00001-of-00002.gguf", part(0, 2, 12));
  write_file(folder / "m-00002-of-00002.gguf", part(1, 2, 12));
  CHECK_THAT(failure(), Contains("split.tensors.count says 12 tensors, the files have 11"));
  std::filesystem::remove(folder / "m-00002-of-00002.gguf");
  CHECK_THAT(failure(), Contains("a set of 2 files, of which m-00002-of-00002.gguf is missing"));
}

TEST_CASE("GGUF files that are broken are refused with one line") {
  GgufWriter good = small_model();
  add_weights(good);
  const std::string bytes = good.bytes();
  CHECK_THAT(opening_fails(bytes.substr(0, bytes.size() - 64)), Contains("truncated?") && Contains("blk.0.ffn_down.weight"));
  CHECK_THAT(opening_fails(bytes.substr(0, 600)), Contains("cut off or damaged"));
  CHECK_THAT(opening_fails(bytes.substr(0, 10)), Contains("cut off or damaged in its counts"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {3}, 16, "abc"}), Contains("attn_q.bias is of type IQ2_XXS, which is not read; read are F32, F16"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {3}, 77, "abc"}), Contains("type number 77"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {4}, 0, floats(4), 16}), Contains("multiple of general.alignment 32, found 16"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {4}, 0, floats(4), 32}), Contains("overlaps tensor"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {1u << 30}, 0, ""}), Contains("attn_q.bias: needs 4294967296 bytes"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {1ull << 40, 1ull << 40}, 0, ""}), Contains("product is below 2^60"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {0}, 0, ""}), Contains("found [0]"));
  CHECK_THAT(tensor_fails({"blk.0.attn_q.bias", {20}, 8, std::string(34, 'a')}), Contains("multiple of 32 numbers for Q8_0, found 20"));
  CHECK_THAT(tensor_fails({"blk.0.attn_k.weight", {4, 4}, 0, floats(16)}), Contains("tensor blk.0.attn_k.weight is described twice"));
  CHECK_THAT(tensor_fails({"blk.0.attn_sinks.weight", {4}, 0, floats(4)}), Contains("tensor model.layers.0.self_attn.sinks is none that the family llama has here"));
  CHECK_THAT(tensor_fails({"blk.0.ssm_in.weight", {4}, 0, floats(4)}), Contains("blk.0.ssm_in.weight is none that architecture llama has"));
  CHECK_THAT(tensor_fails({"elsewhere", {4}, 0, floats(4)}), Contains("tensor elsewhere is none"));
  {
    GgufWriter w = small_model();
    add_weights(w, "blk.0.attn_v.weight");
    CHECK_THAT(opening_fails(w.bytes()), Contains("model.layers.0.self_attn.v_proj.weight is missing"));
  }
  {
    GgufWriter w = small_model();
    add_weights(w, "blk.0.attn_v.weight");
    w.add({"blk.0.attn_v.weight", {4, 3}, 0, floats(12)});
    CHECK_THAT(opening_fails(w.bytes()), Contains("v_proj.weight in m.gguf: expected shape [4, 4], found [3, 4]"));
  }
  {
    GgufWriter w = small_model();
    add_weights(w, "token_embd.weight");
    CHECK_THAT(opening_fails(w.bytes()), Contains("expected a tensor token_embd.weight"));
  }
  GgufWriter claims = good;
  claims.extra_tensors = 1ull << 60;
  CHECK_THAT(opening_fails(claims.bytes()), Contains("its counts"));
  GgufWriter first = good;
  first.version = 1;
  CHECK_THAT(opening_fails(first.bytes()), Contains("GGUF version must be 2 or 3, found 1"));
  first.version = 0x03000000;
  CHECK_THAT(opening_fails(first.bytes()), Contains("big-endian"));
  GgufWriter other;
  other.add("general.architecture", std::string("mamba"));
  CHECK_THAT(opening_fails(other.bytes()), Contains("GGUF architecture mamba is not supported; supported are llama"));
  GgufWriter none;
  CHECK_THAT(opening_fails(none.bytes()), Contains("general.architecture, found none"));
}
