#include <catch2/catch.hpp>

#include <numeric>

#include "shard/checkpoint_tensors.h"
#include "shard/tensor_part.h"
#include "tests/shard/checkpoint_files.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;
using Catch::Matchers::Contains;

namespace {

/// Tensor t of shape (2, 3, 4) with the numbers 0 … 23.
std::unique_ptr<const TensorSource> numbered() {
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0f);
  const auto directory = scratch_folder();
  write_file(directory / "model.safetensors", safetensors_bytes({{"t", {"F32", {2, 3, 4}, bytes_of(values)}}}));
  auto source = CheckpointTensors::open_directory(directory);
  REQUIRE(source.ok());
  return std::move(*source);
}

std::vector<float> matrix(const TensorPart& part, const Window& window) {
  const auto source = numbered();
  const auto tensor = source->find("t", {2, 3, 4});
  REQUIRE(tensor.ok());
  std::vector<float> out(window.n_rows * window.n_cols);
  REQUIRE(read_matrix_part(*tensor, part, window, out.data(), window.n_cols).ok());
  return out;
}

}  // namespace

TEST_CASE("A matrix is all of a slice, every second row of it, or its columns") {
  using Numbers = std::vector<float>;
  CHECK(matrix({.tensor = "t", .slice_row = 3}, {1, 2, 1, 2}) == Numbers{17, 18, 21, 22});
  CHECK(matrix({.tensor = "t", .first = 1}, {1, 1, 0, 4}) == Numbers{8, 9, 10, 11});
  CHECK(matrix({.tensor = "t", .first = 0, .step = 2}, {0, 2, 3, 1}) == Numbers{3, 11});
  CHECK(matrix({.tensor = "t", .slice_row = 3, .transposed = true}, {1, 2, 0, 3}) == Numbers{13, 17, 21, 14, 18, 22});
  CHECK(matrix({.tensor = "t", .first = 1, .step = 2, .slice_row = 3, .transposed = true}, {0, 2, 1, 2}) ==
        Numbers{17, 21, 19, 23});
}

TEST_CASE("A vector is a row, or every second number of it") {
  const auto source = numbered();
  const auto tensor = source->find("t", {2, 3, 4});
  REQUIRE(tensor.ok());
  std::vector<float> out(2);
  REQUIRE(read_vector_part(*tensor, {.tensor = "t", .first = 1, .slice_row = 4}, 1, 2, out.data()).ok());
  CHECK(out == std::vector<float>{18, 19});
  REQUIRE(read_vector_part(*tensor, {.tensor = "t", .first = 1, .step = 2, .slice_row = 4}, 0, 2, out.data()).ok());
  CHECK(out == std::vector<float>{17, 19});
}

TEST_CASE("Stacked tensors of another shape are refused with both shapes") {
  const auto source = numbered();
  const auto tensor = source->find("t", {2, 4, 3});
  REQUIRE_FALSE(tensor.ok());
  CHECK_THAT(tensor.error().message, Contains("[2, 4, 3]") && Contains("[2, 3, 4]"));
}
