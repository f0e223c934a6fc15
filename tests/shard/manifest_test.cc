#include <catch2/catch.hpp>

#include <cstring>

#include "shard/manifest_check.h"
#include "shard/manifest_proto.h"
#include "shard/model_source.h"
#include "shard/verify.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

struct Packed {
  std::filesystem::path directory = scratch_folder() / "packed";
  shard::Manifest manifest;

  explicit Packed(const std::string& name = "qwen3_moe") {
    auto made = shard::pack_model(golden(name), directory, {});
    REQUIRE(made.ok());
    manifest = std::move(*made);
  }
};

std::string refusal(const shard::Manifest& manifest) {
  const std::string file = shard::frame_manifest(shard::encode_manifest(manifest));
  const auto parsed = shard::parse_manifest(std::as_bytes(std::span(file)));
  REQUIRE_FALSE(parsed.ok());
  return parsed.error().message;
}

}  // namespace

TEST_CASE("A manifest reads back as it was written") {
  const Packed packed;
  const auto read = shard::read_manifest(packed.directory);
  REQUIRE(read.ok());
  CHECK(read->name == "qwen3_moe");
  CHECK(read->config.layers.size() == 2);
  CHECK(read->config.layers[1].n_experts == 16);
  CHECK(read->config.rope.theta == 1e6f);
  REQUIRE(read->paths.size() == packed.manifest.paths.size());
  for (std::size_t i = 0; i < read->paths.size(); ++i) {
    CHECK(read->paths[i].checksum == packed.manifest.paths[i].checksum);
    CHECK(read->paths[i].offset == packed.manifest.paths[i].offset);
    CHECK(read->paths[i].part_checksums == packed.manifest.paths[i].part_checksums);
    CHECK(shard::path_title(read->paths[i]) == shard::path_title(packed.manifest.paths[i]));
  }
  CHECK(shard::encode_manifest(*read) == shard::encode_manifest(packed.manifest));
}

TEST_CASE("A manifest with any byte changed, or cut anywhere, is refused") {
  const Packed packed("llama");
  const std::string good = read_file(packed.directory / "manifest.colonnade");
  const auto parses = [](const std::string& bytes) { return shard::parse_manifest(std::as_bytes(std::span(bytes))).ok(); };
  REQUIRE(parses(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    CHECK_FALSE(parses(bad));
    CHECK_FALSE(parses(good.substr(0, i)));
  }
  CHECK_FALSE(parses(good + "x"));
}

TEST_CASE("A manifest that contradicts itself is refused by name, also with a right checksum") {
  const Packed packed;
  shard::Manifest m = packed.manifest;
  m.paths.pop_back();
  CHECK_THAT(refusal(m), Contains("paths for the configuration, found"));
  m = packed.manifest;
  m.paths[3].matrices.front().zeros.block_density = 1.5;
  CHECK_THAT(refusal(m), Contains("expected a density from 0 to 1, found 1.5"));
  m = packed.manifest;
  m.paths[3].offset += 1;
  CHECK_THAT(refusal(m), Contains("at offset"));
  m = packed.manifest;
  m.paths[3].offset = std::uint64_t{1} << 63;
  CHECK_THAT(refusal(m), Contains("do not fit"));
  m = packed.manifest;
  m.paths[3].bytes = UINT64_MAX;
  CHECK_THAT(refusal(m), Contains("do not fit"));
  m = packed.manifest;
  m.paths[0].matrices[0].bytes += 64;
  CHECK_THAT(refusal(m), Contains("by its matrices and vectors"));
  m = packed.manifest;
  m.paths[0].matrices[0].rows += 1;
  CHECK_THAT(refusal(m), Contains("embedding of tokens 0-287: matrix 0"));
  m = packed.manifest;
  m.paths[0].matrices[0].format = static_cast<engine::FormatId>(99);
  CHECK_THAT(refusal(m), Contains("format 99"));
  m = packed.manifest;
  m.paths[0].file = 1;
  CHECK_THAT(refusal(m), Contains("expected a file below 1, found 1"));
  m = packed.manifest;
  std::swap(m.paths[3], m.paths[4]);
  CHECK_THAT(refusal(m), Contains("expected layer 0"));
  m = packed.manifest;
  m.blob_files[0].name = "../../etc/passwd";
  CHECK_THAT(refusal(m), Contains("etc/passwd"));
  m = packed.manifest;
  m.paths[2].part_checksums.clear();
  CHECK_THAT(refusal(m), Contains("checksums of"));
}

TEST_CASE("A configuration whose parts do not go together is refused, where the paths do not show it") {
  const Packed latents("deepseek_v3"), plain("llama");
  shard::Manifest m = latents.manifest;
  m.config.layers[1].window_tokens = 16;
  CHECK_THAT(refusal(m), Contains("window_tokens of latents: expected 0 to 0, found 16"));
  m = plain.manifest;
  m.config.qk_norm_joint = true;
  CHECK_THAT(refusal(m), Contains("qk_norm_joint: expected qk_norm"));
}

TEST_CASE("A configuration that lies about its size costs no memory") {
  const Packed packed;
  shard::Manifest m = packed.manifest;
  for (engine::LayerConfig& layer : m.config.layers) {
    layer.n_experts = 1 << 16;
    layer.hidden_dim = 1 << 22;
  }
  CHECK_THAT(refusal(m), Contains("paths of the model: expected 1 to 16777216"));
  m = packed.manifest;
  m.config.vocab_size = 0x7fffffff;
  CHECK_THAT(refusal(m), Contains("vocab_size"));
  m = packed.manifest;
  m.config.n_layers = 1 << 13;
  CHECK_THAT(refusal(m), Contains("layers: expected 8192 to 8192, found 2"));
  m = packed.manifest;
  m.config.head_dim = 0;
  CHECK_THAT(refusal(m), Contains("head_dim"));
  for (const int neurons : {0, -16, 24}) {
    m = packed.manifest;
    m.config.neuron_group = neurons;
    CHECK_THAT(refusal(m), Contains("neuron_group"));
  }
  const int per_kv = packed.manifest.config.query_heads_per_kv();
  REQUIRE(per_kv > 1);
  for (const int heads : {0, -1, per_kv + 1, packed.manifest.config.n_heads + per_kv}) {
    m = packed.manifest;
    m.config.output_heads = heads;
    CHECK_THAT(refusal(m), Contains("output_heads"));
  }
}

TEST_CASE("A blob with one wrong bit is found and named; so are files cut short or missing") {
  const Packed packed;
  const auto file = packed.directory / packed.manifest.blob_files[0].name;
  const std::string good = read_file(file);
  for (const std::size_t which : {std::size_t{0}, packed.manifest.paths.size() / 2, packed.manifest.paths.size() - 1}) {
    const shard::PathSpec& path = packed.manifest.paths[which];
    std::string bad = good;
    bad[path.offset + path.bytes - 1] = static_cast<char>(bad[path.offset + path.bytes - 1] ^ 1);
    write_file(file, bad);
    const auto verified = shard::verify_blobs(packed.manifest, packed.directory, 2);
    REQUIRE_FALSE(verified.ok());
    CHECK(verified.error().code == ErrorCode::kCorrupt);
    CHECK_THAT(verified.error().message, Contains(shard::path_title(path)) && Contains("checksum"));
  }
  write_file(file, good.substr(0, good.size() - 4096));
  CHECK_THAT(shard::read_manifest(packed.directory).error().message, Contains("truncated") && Contains("expected " + std::to_string(good.size())));
  std::filesystem::remove(file);
  CHECK_THAT(shard::read_manifest(packed.directory).error().message, Contains("model-00000.paths"));
  CHECK_THAT(shard::read_manifest(packed.directory.parent_path()).error().message, Contains("expected a packed model"));
}
