#include <catch2/catch.hpp>

#include <cmath>

#include "engine/base/json.h"
#include "shard/half.h"
#include "shard/source_model.h"
#include "shard/checkpoint_tensors.h"
#include "tests/shard/checkpoint_files.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

std::filesystem::path directory_of(const FileTensors& tensors) {
  const auto directory = scratch_folder();
  write_file(directory / "model.safetensors", safetensors_bytes(tensors));
  return directory;
}

std::vector<float> all_of(const shard::TensorRows& tensor) {
  std::vector<float> out(tensor.rows() * tensor.cols());
  const auto status = tensor.read({0, tensor.rows(), 0, tensor.cols()}, out.data(), tensor.cols());
  INFO((status.ok() ? "" : status.error().message));
  REQUIRE(status.ok());
  return out;
}

std::vector<float> read_all(const std::filesystem::path& directory, const std::string& name, std::uint64_t rows, std::uint64_t cols) {
  const auto tensors = shard::CheckpointTensors::open_directory(directory);
  REQUIRE(tensors.ok());
  const auto tensor = (*tensors)->find(name, rows > 0 ? shard::Shape{rows, cols} : shard::Shape{cols});
  INFO((tensor.ok() ? "" : tensor.error().message));
  REQUIRE(tensor.ok());
  return all_of(*tensor);
}

/// The error of finding and reading the whole tensor.
std::string failure(const FileTensors& tensors, std::uint64_t rows, std::uint64_t cols) {
  const auto source = shard::CheckpointTensors::open_directory(directory_of(tensors));
  REQUIRE(source.ok());
  const auto tensor = (*source)->find("m.weight", {rows, cols});
  if (!tensor.ok()) return tensor.error().message;
  std::vector<float> out(rows * cols);
  const auto status = tensor->read({0, rows, 0, cols}, out.data(), cols);
  REQUIRE_FALSE(status.ok());
  return status.error().message;
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 3) out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}

/// The 3 x 10 example of the layout's specification.
FileTensors example() {
  return {{"m.shape", {"I64", {2}, bytes_of<std::int64_t>({3, 10})}},
          {"m.compressed", {"F32", {6}, bytes_of<float>({1.5f, -2, .25f, 3, 4, -1})}},
          {"m.bitmask", {"U8", {3, 2}, from_hex("92 01 00 00 01 02")}},
          {"m.row_offsets", {"I64", {3}, bytes_of<std::int64_t>({0, 4, 4})}}};
}
const std::vector<float> kExample{0, 1.5f, 0, 0, -2, 0, 0, .25f, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, -1};

}  // namespace

TEST_CASE("Half floats: zeros, subnormals, normals, infinities and NaN") {
  CHECK(shard::f16_to_f32(0x3c00) == 1.0f);
  CHECK(shard::f16_to_f32(0xc100) == -2.5f);
  CHECK(shard::f16_to_f32(0x7bff) == 65504.0f);
  CHECK(shard::f16_to_f32(0x0001) == std::ldexp(1.0f, -24));
  CHECK(shard::f16_to_f32(0x03ff) == std::ldexp(1023.0f, -24));
  CHECK((shard::f16_to_f32(0x8000) == 0.0f && std::signbit(shard::f16_to_f32(0x8000))));
  CHECK(shard::f16_to_f32(0xfc00) == -INFINITY);
  CHECK(std::isnan(shard::f16_to_f32(0x7e01)));
}

TEST_CASE("Windows of a sparse matrix are those of the dense one, at every position") {
  const auto source = shard::CheckpointTensors::open_directory(directory_of(example()));
  REQUIRE(source.ok());
  const auto tensor = (*source)->find("m.weight", {3, 10});
  REQUIRE(tensor.ok());
  CHECK(tensor->is_sparse());
  for (std::uint64_t first = 0; first <= 10; ++first) {
    for (std::uint64_t n = 0; first + n <= 10; ++n) {
      std::vector<float> out(3 * 12, 7.0f);
      REQUIRE(tensor->read({0, 3, first, n}, out.data(), 12).ok());
      for (std::uint64_t r = 0; r < 3; ++r) {
        for (std::uint64_t c = 0; c < n; ++c) CHECK(out[r * 12 + c] == kExample[r * 10 + first + c]);
        CHECK(out[r * 12 + n] == 7.0f);  // nothing beyond the window is touched
      }
    }
  }
}

TEST_CASE("Sparse tensors that contradict themselves are refused by name") {
  const auto with = [](const char* name, FileTensor tensor) {
    FileTensors tensors = example();
    tensors[name] = std::move(tensor);
    return failure(tensors, 3, 10);
  };
  CHECK_THAT(with("m.bitmask", {"U8", {3, 2}, from_hex("93 01 00 00 01 02")}), Contains("row 0 has 5 bits set") && Contains("4 values"));
  CHECK_THAT(with("m.bitmask", {"U8", {3, 2}, from_hex("92 01 00 00 01 04")}), Contains("row 2") && Contains("beyond column 10"));
  CHECK_THAT(with("m.compressed", {"F32", {5}, std::string(20, '\0')}), Contains("row 2"));
  CHECK_THAT(with("m.row_offsets", {"I64", {3}, bytes_of<std::int64_t>({0, 3, 4})}), Contains("row 0"));
  CHECK_THAT(with("m.row_offsets", {"I64", {3}, bytes_of<std::int64_t>({1, 4, 4})}), Contains("first offset to be 0, found 1"));
  CHECK_THAT(with("m.row_offsets", {"I64", {3}, bytes_of<std::int64_t>({0, 4, -1})}), Contains("row_offsets of row 1"));
  CHECK_THAT(with("m.row_offsets", {"I64", {3}, bytes_of<std::int64_t>({0, 1L << 62, 4})}), Contains("row_offsets of row 0"));
  CHECK_THAT(with("m.shape", {"I64", {2}, bytes_of<std::int64_t>({3, 11})}), Contains("expected shape [3, 10], found [3, 11]"));
  CHECK_THAT(with("m.bitmask", {"U8", {3, 1}, "abc"}), Contains("m.bitmask") && Contains("expected U8 [3, 2], found U8 [3, 1]"));
  CHECK_THAT(with("m.bitmask", {"I8", {3, 2}, "abcdef"}), Contains("found I8"));
  CHECK_THAT(with("m.compressed", {"I64", {6}, std::string(48, '\0')}), Contains("m.compressed has dtype I64"));
  for (const char* half : {"shape", "compressed", "bitmask", "row_offsets"}) {
    FileTensors tensors = example();
    tensors.erase(std::string("m.") + half);
    CHECK_THAT(failure(tensors, 3, 10), Contains(std::string("lacks m.") + half));
  }
}

TEST_CASE("Names of 0.8.1: matrices and vectors with the full name in front") {
  FileTensors tensors;
  for (auto& [name, tensor] : example()) tensors[replaced(name, "m.", "m.weight.")] = tensor;
  CHECK(read_all(directory_of(tensors), "m.weight", 3, 10) == kExample);
  const FileTensors vector{{"v.weight.shape", {"I64", {1}, bytes_of<std::int64_t>({9})}},
                           {"v.weight.compressed", {"F32", {2}, bytes_of<float>({5, 6})}},
                           {"v.weight.bitmask", {"U8", {2}, from_hex("02 01")}},
                           {"v.weight.row_offsets", {"I64", {}, bytes_of<std::int64_t>({0})}}};
  CHECK(read_all(directory_of(vector), "v.weight", 0, 9) == std::vector<float>{0, 5, 0, 0, 0, 0, 0, 0, 6});
}

TEST_CASE("The sparse-bitmask golden holds the weights of the plain one") {
  COLONNADE_SHARED_PATH(plain, "golden/llama_sparse50");
  const auto sparse = golden("llama_sparse_bitmask");
  for (const char* layer : {"model.layers.0.", "model.layers.1."})
    for (const auto& [name, rows, cols] : std::vector<std::tuple<const char*, int, int>>{
             {"self_attn.q_proj", 64, 64}, {"self_attn.k_proj", 32, 64}, {"self_attn.o_proj", 64, 64}, {"mlp.gate_proj", 160, 64}, {"mlp.down_proj", 64, 160}}) {
      const std::string full = std::string(layer) + name + ".weight";
      CHECK(read_all(sparse, full, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols)) ==
            read_all(plain, full, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols)));
    }
}

TEST_CASE("Pruned stories260K in every sparse-bitmask form is the original with its smallest weights zero") {
  COLONNADE_SHARED_PATH(derived, "data/sparse/derived-from-stories260K");
  const auto original = shared_data() / "data/models/stories260K";
  for (const auto& [name, share, tolerance] : std::vector<std::tuple<const char*, double, float>>{
           {"sparse-bitmask", 0.3, 0.f}, {"sparse-bitmask-90", 0.9, 0.f}, {"sparse-bitmask-legacy-names", 0.5, 0.f}, {"sparse-bitmask-bf16", 0.5, 0.004f}}) {
    INFO(name);
    REQUIRE(shard::SourceModel::open(derived / name).ok());
    const auto pruned = read_all(derived / name, "model.layers.2.mlp.up_proj.weight", 172, 64);
    const auto dense = read_all(original, "model.layers.2.mlp.up_proj.weight", 172, 64);
    float largest_dropped = 0, smallest_kept = INFINITY;
    double zeros = 0;
    for (std::size_t i = 0; i < dense.size(); ++i) {
      if (pruned[i] == 0) {
        ++zeros;
        largest_dropped = std::max(largest_dropped, std::fabs(dense[i]));
      } else {
        smallest_kept = std::min(smallest_kept, std::fabs(dense[i]));
        CHECK(std::fabs(pruned[i] - dense[i]) <= tolerance * std::fabs(dense[i]));
      }
    }
    CHECK(zeros / static_cast<double>(dense.size()) == Approx(share).margin(0.01));
    CHECK(largest_dropped <= smallest_kept);
    CHECK(read_all(derived / name, "model.norm.weight", 0, 64).size() == 64);
  }
}

TEST_CASE("The demo model is the sparse tales model bit by bit, but for the sign of zeros") {
  COLONNADE_SHARED_PATH(original, "models/tales/sparse");
  const auto demo = shard::SourceModel::open(tests::source_folder() / "deploy/demo");
  const auto plain = shard::SourceModel::open(original);
  REQUIRE(demo.ok());
  REQUIRE(plain.ok());
  const auto paths = shard::enumerate_paths(demo->config(), {});
  std::vector<std::byte> a, b;
  for (shard::PathSpec path : paths) {
    shard::PathSpec other = path;
    REQUIRE(shard::encode_path_blob(path, demo->weights_of(path), a).ok());
    shard::PathWeights weights = plain->weights_of(other);
    // The layout stores no zeros, so -0.0 becomes +0.0.
    weights.rows = [inner = weights.rows](const shard::MatrixSpec& m, std::uint32_t first, std::uint32_t n, float* out) {
      auto status = inner(m, first, n, out);
      for (std::size_t i = 0; i < std::size_t{n} * m.cols; ++i) out[i] += 0.0f;
      return status;
    };
    REQUIRE(shard::encode_path_blob(other, weights, b).ok());
    CHECK((a == b));
  }
}
