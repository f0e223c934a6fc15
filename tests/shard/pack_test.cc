#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>

#include "shard/blob.h"
#include "shard/checkpoint.h"
#include "shard/model_source.h"
#include "shard/pack.h"
#include "shard/source_model.h"
#include "shard/verify.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

using shard::MatrixRole;
using shard::PathKind;
using shard::VectorRole;

shard::Manifest packed(const std::string& name, const std::filesystem::path& out, engine::FormatId values, int threads = 2) {
  const auto manifest = shard::pack_model(golden(name), out, {.values = values, .threads = threads, .name = ""});
  INFO((manifest.ok() ? "" : manifest.error().message));
  REQUIRE(manifest.ok());
  return *manifest;
}

/// A BF16 tensor of a golden by its Hugging Face name, as (rows, cols) floats: an own little reader.
std::vector<float> tensor(const shard::Checkpoint& checkpoint, const std::string& name) {
  const shard::Tensor* found = checkpoint.find(name);
  INFO(name);
  REQUIRE(found != nullptr);
  REQUIRE(found->dtype == shard::Dtype::kBf16);
  std::vector<float> out(found->data.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint32_t bits = std::to_integer<std::uint32_t>(found->data[2 * i]) << 16 | std::to_integer<std::uint32_t>(found->data[2 * i + 1]) << 24;
    std::memcpy(&out[i], &bits, 4);
  }
  return out;
}

/// What a packed path holds, decoded from its file.
struct Decoded {
  std::vector<std::byte> blob;
  const shard::PathSpec& path;

  Decoded(const std::filesystem::path& directory, const shard::Manifest& manifest, const shard::PathSpec& p) : path(p) {
    const std::string file = read_file(directory / manifest.blob_files[path.file].name);
    REQUIRE(path.offset % 4096 == 0);
    REQUIRE(path.offset + path.bytes <= file.size());
    blob.resize(path.bytes);
    std::memcpy(blob.data(), file.data() + path.offset, path.bytes);
    CHECK(shard::blob_checksum(blob) == path.checksum);
  }
  std::vector<float> matrix(std::size_t m) const {
    const shard::MatrixSpec& spec = path.matrices[m];
    const auto* table = reinterpret_cast<const std::uint64_t*>(blob.data() + shard::table_offset(path, m));
    std::vector<float> out(std::size_t{spec.rows} * spec.cols);
    for (std::uint32_t s = 0; s < spec.n_strips(); ++s) {
      const int rows = static_cast<int>(std::min(16u, spec.rows - 16 * s));
      engine::find_format(spec.format)->decode_strip(blob.data() + table[s], rows, spec.cols, out.data() + std::size_t{16} * s * spec.cols, spec.cols);
    }
    return out;
  }
  std::vector<float> vector(std::size_t v) const {
    std::vector<float> out(path.vectors[v].count);
    std::memcpy(out.data(), blob.data() + shard::vector_offset(path, v), out.size() * 4);
    return out;
  }
};

/// Rows [row, row + rows) and columns [col, col + cols) of a matrix with `width` columns.
std::vector<float> cut(const std::vector<float>& matrix, std::size_t width, std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
  std::vector<float> out;
  for (std::size_t r = row; r < row + rows; ++r)
    for (std::size_t c = col; c < col + cols; ++c) out.push_back(matrix[r * width + c]);
  return out;
}

struct MoeNames {
  const char *router, *experts, *gate, *up, *down;
};

/// Compares every number of a packed golden with the tensors of the checkpoint, by the layout that Hugging Face's
/// modelling code implies.
void check_all(const std::string& name, const MoeNames& moe) {
  INFO(name);
  const auto out = scratch_folder() / "packed";
  const auto manifest = packed(name, out, engine::FormatId::kF32);
  const auto checkpoint = shard::Checkpoint::open(golden(name));
  REQUIRE(checkpoint.ok());
  const auto& c = manifest.config;
  const auto dim = static_cast<std::size_t>(c.dim), hd = static_cast<std::size_t>(c.head_dim), heads = static_cast<std::size_t>(c.n_heads);
  for (const shard::PathSpec& path : manifest.paths) {
    INFO(shard::path_title(path));
    const Decoded d(out, manifest, path);
    const std::string layer = "model.layers." + std::to_string(path.layer) + ".";
    const auto first = static_cast<std::size_t>(path.first), count = static_cast<std::size_t>(path.count);
    const auto kv = static_cast<std::size_t>(path.index);
    const auto get = [&](const std::string& tensor_name) { return tensor(*checkpoint, tensor_name); };
    for (std::size_t m = 0; m < path.matrices.size(); ++m) {
      const auto part = static_cast<std::size_t>(path.matrices[m].part);
      std::vector<float> expected;
      std::string expert = layer + "mlp.";
      std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
      if (path.kind == PathKind::kFeedForward && c.layers[static_cast<std::size_t>(path.layer)].has_router()) {
        expert = layer + moe.experts + "." + std::to_string(path.expert) + ".";
        gate = moe.gate, up = moe.up, down = moe.down;
      }
      if (path.kind == PathKind::kSharedExpert) expert = layer + "mlp.shared_expert.";
      switch (path.matrices[m].role) {
        case MatrixRole::kKey: expected = cut(get(layer + "self_attn.k_proj.weight"), dim, kv * hd, hd, 0, dim); break;
        case MatrixRole::kValue: expected = cut(get(layer + "self_attn.v_proj.weight"), dim, kv * hd, hd, 0, dim); break;
        case MatrixRole::kQuery: expected = cut(get(layer + "self_attn.q_proj.weight"), dim, (first + part) * hd, hd, 0, dim); break;
        case MatrixRole::kOutput: expected = cut(get(layer + "self_attn.o_proj.weight"), heads * hd, 0, dim, (first + part) * hd, hd); break;
        case MatrixRole::kGate: expected = cut(get(expert + gate + ".weight"), dim, first, count, 0, dim); break;
        case MatrixRole::kUp: expected = cut(get(expert + up + ".weight"), dim, first, count, 0, dim); break;
        case MatrixRole::kDown: {
          const auto all = get(expert + down + ".weight");
          expected = cut(all, all.size() / dim, 0, dim, first, count);
          break;
        }
        case MatrixRole::kQueryLatent:
        case MatrixRole::kLatent:
        case MatrixRole::kIntoLatent:
        case MatrixRole::kOutOfLatent: FAIL("a matrix of latents"); break;
        case MatrixRole::kVocabulary:
          expected = cut(get(path.kind == PathKind::kHead ? "lm_head.weight" : "model.embed_tokens.weight"), dim, first, count, 0, dim);
          break;
      }
      CHECK(d.matrix(m) == expected);
      const auto zeros = static_cast<double>(std::count(expected.begin(), expected.end(), 0.0f));
      CHECK(path.matrices[m].zeros.density == Approx(1.0 - zeros / static_cast<double>(expected.size())));
    }
    for (std::size_t v = 0; v < path.vectors.size(); ++v) {
      const auto part = static_cast<std::size_t>(path.vectors[v].part);
      std::vector<float> expected;
      const auto slice = [&](const std::string& tensor_name, std::size_t begin) { return cut(get(tensor_name), 1, begin, hd, 0, 1); };
      switch (path.vectors[v].role) {
        case VectorRole::kAttentionNorm: expected = get(layer + "input_layernorm.weight"); break;
        case VectorRole::kFeedForwardNorm: expected = get(layer + "post_attention_layernorm.weight"); break;
        case VectorRole::kQueryNorm: expected = get(layer + "self_attn.q_norm.weight"); break;
        case VectorRole::kKeyNorm: expected = get(layer + "self_attn.k_norm.weight"); break;
        case VectorRole::kOutputBias: expected = get(layer + "self_attn.o_proj.bias"); break;
        case VectorRole::kRouter: expected = get(layer + moe.router + ".weight"); break;
        case VectorRole::kRouterBias: expected = get(layer + "mlp.gate.e_score_correction_bias"); break;
        case VectorRole::kQueryLatentNorm: expected = get(layer + "self_attn.q_a_layernorm.weight"); break;
        case VectorRole::kLatentNorm: expected = get(layer + "self_attn.kv_a_layernorm.weight"); break;
        case VectorRole::kSharedGate: expected = get(layer + "mlp.shared_expert_gate.weight"); break;
        case VectorRole::kFinalNorm: expected = get("model.norm.weight"); break;
        case VectorRole::kQueryBias: expected = slice(layer + "self_attn.q_proj.bias", (first + part) * hd); break;
        case VectorRole::kKeyBias: expected = slice(layer + "self_attn.k_proj.bias", kv * hd); break;
        case VectorRole::kValueBias: expected = slice(layer + "self_attn.v_proj.bias", kv * hd); break;
        default: FAIL("none of these families has such a vector");
      }
      CHECK(d.vector(v) == expected);
    }
  }
}

}  // namespace

TEST_CASE("A packed model holds every number of every family's checkpoint where it belongs") {
  const MoeNames qwen{"mlp.gate", "mlp.experts", "gate_proj", "up_proj", "down_proj"};
  const MoeNames mixtral{"block_sparse_moe.gate", "block_sparse_moe.experts", "w1", "w3", "w2"};
  for (const char* name : {"llama", "llama3", "mistral", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe"}) check_all(name, qwen);
  check_all("mixtral", mixtral);
}

TEST_CASE("A configuration that disagrees with the tensors about experts or latents is refused with one line") {
  const auto refusal = [](const char* name, const char* field, const Json& value) {
    const auto folder = scratch_folder() / name;
    std::filesystem::copy(golden(name), folder, std::filesystem::copy_options::recursive);
    Json config = parse_json(read_file(folder / "config.json"), name).value();
    config[field] = value;
    std::ofstream(folder / "config.json") << config.dump();
    const auto model = shard::SourceModel::open(folder);
    REQUIRE_FALSE(model.ok());
    CHECK(model.error().message.find('\n') == std::string::npos);
    return model.error().message;
  };
  CHECK_THAT(refusal("qwen2_moe", "num_experts", 9), Contains("mlp.gate.weight") && Contains("[9, 64]") && Contains("[10, 64]"));
  CHECK_THAT(refusal("deepseek_v3", "n_routed_experts", 16), Contains("mlp.gate.weight") && Contains("[16, 64]") && Contains("[8, 64]"));
  CHECK_THAT(refusal("glm4_moe", "n_shared_experts", 2), Contains("shared_experts") && Contains("[64, 64]") && Contains("[32, 64]"));
  CHECK_THAT(refusal("qwen2_moe", "shared_expert_intermediate_size", 48), Contains("shared_expert."));
  CHECK_THAT(refusal("deepseek_v3", "kv_lora_rank", 48), Contains("kv_a_proj_with_mqa") && Contains("[64, 64]") && Contains("[48, 64]"));
  CHECK_THAT(refusal("deepseek_v3", "first_k_dense_replace", 2), Contains("layers.1.mlp.gate_proj.weight") && Contains("missing"));
  CHECK_THAT(refusal("deepseek_v2", "q_lora_rank", 24), Contains("q_a_proj") && Contains("missing"));
  CHECK_THAT(refusal("olmoe", "num_attention_heads", 8), Contains("k_proj") && Contains("[32, 64]") && Contains("[64, 64]"));
}

TEST_CASE("The same model gives the same bytes with any number of threads") {
  const auto one = scratch_folder() / "one", many = scratch_folder() / "many";
  const auto a = packed("qwen3_moe", one, engine::FormatId::kInt8, 1);
  const auto b = packed("qwen3_moe", many, engine::FormatId::kInt8, 7);
  REQUIRE(a.blob_files.size() == 1);
  CHECK(a.blob_files[0].bytes == b.blob_files[0].bytes);
  CHECK(read_file(one / a.blob_files[0].name) == read_file(many / b.blob_files[0].name));
  CHECK(shard::verify_blobs(a, many, 3).ok());
}

TEST_CASE("Values are stored as asked, and a pack needs the disk that it announced") {
  for (const auto& [values, limit] : std::vector<std::pair<engine::FormatId, double>>{
           {engine::FormatId::kF32, 0}, {engine::FormatId::kBf16, 0}, {engine::FormatId::kInt8, 0.008}}) {
    const auto out = scratch_folder() / "packed";
    const auto manifest = packed("llama", out, values);
    const auto checkpoint = shard::Checkpoint::open(golden("llama"));
    const auto up = tensor(*checkpoint, "model.layers.0.mlp.up_proj.weight");
    for (const shard::PathSpec& path : manifest.paths) {
      if (path.kind != PathKind::kFeedForward || path.layer != 0) continue;
      CHECK(shard::values_of(path.matrices[1].format) == values);
      const auto decoded = Decoded(out, manifest, path).matrix(1);
      const auto expected = cut(up, 64, static_cast<std::size_t>(path.first), static_cast<std::size_t>(path.count), 0, 64);
      // An int8 value is off by half a step of (largest of its row) / 127, and no value of a row exceeds its largest.
      float largest = 0;
      for (const float w : expected) largest = std::max(largest, std::fabs(w));
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(std::fabs(decoded[i] - expected[i]) <= limit * largest);
    }
    CHECK(shard::pack_needs(manifest.paths, 1).disk_bytes == manifest.blob_files[0].bytes);
  }
}

TEST_CASE("A pack that cannot fit the disk is refused with the numbers before it starts") {
  const auto status = shard::announce_pack("source", std::filesystem::temp_directory_path(), {.disk_bytes = std::uint64_t{1} << 60, .memory_bytes = 1, .threads = 1});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kExhausted);
  CHECK_THAT(status.error().message, Contains("needs 1.0 EiB") || Contains("needs 1048576.0 TiB") || Contains("needs 1024.0 PiB"));
  CHECK_THAT(status.error().message, Contains("are free"));
}

TEST_CASE("pack writes only into a new or empty directory, and leaves nothing after an error") {
  const auto folder = scratch_folder();
  write_file(folder / "mine.txt", "x");
  const auto foreign = shard::pack_model(golden("llama"), folder, {});
  REQUIRE_FALSE(foreign.ok());
  CHECK_THAT(foreign.error().message, Contains("expected a new or empty directory, found mine.txt"));
  CHECK(read_file(folder / "mine.txt") == "x");

  packed("llama", folder / "twice", engine::FormatId::kBf16);
  const auto twice = shard::pack_model(golden("llama"), folder / "twice", {});
  REQUIRE_FALSE(twice.ok());
  CHECK_THAT(twice.error().message, Contains("manifest.colonnade"));

  // The last row of a sparse matrix is wrong: found while packing, after blobs were written.
  const auto source = copy_golden("llama_sparse_bitmask", folder / "source");
  const auto checkpoint = shard::Checkpoint::open(source);
  const shard::Tensor* mask = checkpoint->find("model.layers.1.mlp.down_proj.bitmask");
  REQUIRE(mask != nullptr);
  std::string bytes = read_file(source / "model.safetensors");
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(mask->data.data()), mask->data.size()));
  REQUIRE(at != std::string::npos);
  bytes[at + mask->data.size() - 1] = static_cast<char>(bytes[at + mask->data.size() - 1] ^ 0x10);
  write_file(source / "model.safetensors", bytes);
  const auto broken = shard::pack_model(source, folder / "broken", {});
  REQUIRE_FALSE(broken.ok());
  CHECK_THAT(broken.error().message, Contains("model.layers.1.mlp.down_proj.weight: row 63 has"));
  CHECK_FALSE(std::filesystem::exists(folder / "broken"));
}

TEST_CASE("open_model packs a Hugging Face directory once, and again when it changes") {
  const auto folder = scratch_folder();
  const auto source = copy_golden("llama", folder / "my-llama");
  write_file(source / "tokenizer.json", "{}");
  const auto first = shard::open_model(source, "", folder / "cache");
  REQUIRE(first.ok());
  CHECK(first->manifest.name == "my-llama");
  REQUIRE(first->manifest.source_file("tokenizer.json") != nullptr);
  CHECK(*first->manifest.source_file("tokenizer.json") == "{}");
  CHECK(first->manifest.source_file("other") == nullptr);
  const auto time = std::filesystem::last_write_time(first->directory / "manifest.colonnade");
  const auto second = shard::open_model(source, "bf16", folder / "cache");
  REQUIRE(second.ok());
  CHECK(second->directory == first->directory);
  CHECK(std::filesystem::last_write_time(second->directory / "manifest.colonnade") == time);
  const auto int8 = shard::open_model(source, "int8", folder / "cache");
  REQUIRE(int8.ok());
  CHECK(int8->directory != first->directory);
  write_file(source / "tokenizer.json", "{ }");
  const auto third = shard::open_model(source, "", folder / "cache");
  REQUIRE(third.ok());
  CHECK(third->directory != first->directory);

  CHECK(shard::open_model(first->directory, "", folder / "cache").ok());
  CHECK(shard::open_model(first->directory, "bf16", folder / "cache").ok());
  const auto other = shard::open_model(first->directory, "int8", folder / "cache");
  REQUIRE_FALSE(other.ok());
  CHECK_THAT(other.error().message, Contains("expected values int8, but it was packed with bf16"));
  CHECK_THAT(shard::open_model(source, "int3", folder / "cache").error().message, Contains("f32, bf16, int8") && Contains("found int3"));
  CHECK_THAT(shard::open_model(folder / "none", "", folder / "cache").error().message, Contains("found nothing"));
  CHECK_THAT(shard::open_model(source / "config.json", "", folder / "cache").error().message, Contains("found a file"));
  CHECK_THAT(shard::open_model(folder, "", folder / "cache").error().message, Contains("found neither"));
}
