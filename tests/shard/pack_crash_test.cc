// Packs that are killed, and packs that meet: in processes of their own.
#include <catch2/catch.hpp>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "engine/base/log.h"
#include "shard/model_source.h"
#include "shard/verify.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

/// Runs `body` in a child process; its exit status is 0 when body returns true.
pid_t in_child(const std::function<bool()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body() ? 0 : 1);
  return child;
}

int wait_for(pid_t child) {
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

/// A checkpoint whose weights are all zero and take no disk, large enough that its pack can be killed in the middle.
std::filesystem::path large_source(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  write_file(directory / "config.json", R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":512,
    "num_hidden_layers":1,"num_attention_heads":8,"intermediate_size":1024,"vocab_size":60000,"tie_word_embeddings":false})");
  std::string json;
  std::uint64_t end = 0;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape) {
    std::uint64_t bytes = 2;
    for (const std::uint64_t n : shape) bytes *= n;
    json += (json.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"BF16\",\"shape\":" + json_list(shape) + ",\"data_offsets\":" + json_list({end, end + bytes}) + "}";
    end += bytes;
  };
  add("model.embed_tokens.weight", {60000, 512});
  add("lm_head.weight", {60000, 512});
  add("model.norm.weight", {512});
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(std::string("model.layers.0.") + norm + ".weight", {512});
  for (const char* proj : {"q", "k", "v", "o"}) add(std::string("model.layers.0.self_attn.") + proj + "_proj.weight", {512, 512});
  for (const char* proj : {"gate", "up"}) add(std::string("model.layers.0.mlp.") + proj + "_proj.weight", {1024, 512});
  add("model.layers.0.mlp.down_proj.weight", {512, 1024});
  const std::string header = with_length(json + "}");
  write_file(directory / "model.safetensors", header);
  std::filesystem::resize_file(directory / "model.safetensors", header.size() + end);
  return directory;
}

std::uint64_t blob_bytes(const std::filesystem::path& directory) {
  std::error_code ignored;
  const auto bytes = std::filesystem::file_size(directory / "model-00000.paths", ignored);
  return ignored ? 0 : bytes;
}

const shard::PackOptions kOptions{.values = engine::FormatId::kF32, .threads = 1, .name = ""};

}  // namespace

TEST_CASE("A pack that was killed leaves nothing that opens, and the next one cleans up") {
  set_log_level(LogLevel::kWarning);
  const auto folder = scratch_folder();
  const auto source = large_source(folder / "source");
  const auto out = folder / "packed";
  bool caught = false;
  for (int attempt = 0; attempt < 20 && !caught; ++attempt) {
    std::filesystem::remove_all(out);
    const pid_t child = in_child([&] { return shard::pack_model(source, out, kOptions).ok(); });
    while (blob_bytes(out) < (1u << 20) && waitpid(child, nullptr, WNOHANG) == 0) usleep(200);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    caught = !shard::is_packed_model(out);
  }
  REQUIRE(caught);
  REQUIRE(blob_bytes(out) > 0);
  CHECK_FALSE(shard::read_manifest(out).ok());
  const auto opened = shard::open_model(out, "", folder / "cache");
  REQUIRE_FALSE(opened.ok());
  CHECK_THAT(opened.error().message, Contains("packing was not finished"));

  write_file(out / "model-00007.paths", "left over");
  const auto again = shard::pack_model(source, out, kOptions);
  REQUIRE(again.ok());
  CHECK(shard::verify_blobs(*again, out, 2).ok());
  std::size_t n_files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(out)) ++n_files;
  CHECK(n_files == 2);  // the manifest and one file of blobs
  set_log_level(LogLevel::kInfo);
}

TEST_CASE("A killed pack into the cache is made again by the next open") {
  set_log_level(LogLevel::kWarning);
  const auto folder = scratch_folder();
  const auto source = large_source(folder / "source");
  const pid_t child = in_child([&] { return shard::open_model(source, "f32", folder / "cache").ok(); });
  const auto place = [&]() -> std::filesystem::path {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "cache", ignored)) return entry.path();
    return {};
  };
  while ((place().empty() || blob_bytes(place()) < (1u << 20)) && waitpid(child, nullptr, WNOHANG) == 0) usleep(200);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const auto opened = shard::open_model(source, "f32", folder / "cache");
  REQUIRE(opened.ok());
  CHECK(opened->directory == place());
  CHECK(shard::verify_blobs(opened->manifest, opened->directory, 2).ok());
  set_log_level(LogLevel::kInfo);
}

TEST_CASE("Several processes that open the same model pack it once between them") {
  set_log_level(LogLevel::kWarning);
  const auto folder = scratch_folder();
  const auto source = large_source(folder / "source");
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(in_child([&] {
      const auto opened = shard::open_model(source, "int8", folder / "cache");
      return opened.ok() && shard::verify_blobs(opened->manifest, opened->directory, 1).ok();
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  std::size_t n_models = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / "cache")) ++n_models;
  CHECK(n_models == 1);
  set_log_level(LogLevel::kInfo);
}

TEST_CASE("A second pack into a directory that is being packed is refused") {
  set_log_level(LogLevel::kWarning);
  const auto folder = scratch_folder();
  const auto source = large_source(folder / "source");
  const auto out = folder / "packed";
  const pid_t child = in_child([&] { return shard::pack_model(source, out, kOptions).ok(); });
  while (blob_bytes(out) == 0) usleep(200);
  kill(child, SIGSTOP);
  const auto second = shard::pack_model(golden("llama"), out, kOptions);
  const bool finished = shard::is_packed_model(out);
  kill(child, SIGCONT);
  CHECK(wait_for(child) == 0);
  REQUIRE_FALSE(second.ok());
  if (!finished) CHECK_THAT(second.error().message, Contains("another process is packing"));
  CHECK(shard::read_manifest(out).ok());
  set_log_level(LogLevel::kInfo);
}
