#include "shard/prune/prune_matrix.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>

#include "engine/formats/bf16.h"
#include "tests/shard/prune/naive.h"

using namespace colonnade;
using namespace colonnade::shard;
using namespace colonnade::tests;

namespace {

constexpr double kDamping = 0.01;

/// What calibration would know of random inputs.
struct Inputs {
  std::size_t cols;
  std::vector<float> x;
  Doubles naive;
  FloatMatrix gram;
  Factor factor;
  std::vector<float> norms;

  Inputs(const Compute& compute, MemoryMeter& meter, std::size_t n_cols)
      : cols(n_cols), x(correlated_inputs(2000, n_cols, 11)), naive(naive_gram(x, cols, kDamping)), gram(meter, cols, cols) {
    add_gram(compute, x.data(), cols, x.size() / cols, gram);
    mirror_upper(compute, gram);
    for (std::size_t i = 0; i < cols; ++i) norms.push_back(std::sqrt(gram.row(i)[i]));
    add_damping(gram, kDamping);
    FloatMatrix copy(meter, cols, cols);
    std::copy_n(gram.data(), gram.size(), copy.data());
    REQUIRE(factor_upper(compute, std::move(copy), factor));
  }
  InputKnowledge knowledge() const { return {&gram, &factor, norms}; }
};

FloatMatrix copy_of(MemoryMeter& meter, const FloatMatrix& matrix) {
  FloatMatrix copy(meter, matrix.rows(), matrix.cols());
  std::copy_n(matrix.data(), matrix.size(), copy.data());
  return copy;
}

double loss_of(const FloatMatrix& before, const FloatMatrix& after, const Doubles& h) {
  double sum = 0;
  for (std::size_t r = 0; r < before.rows(); ++r) {
    std::vector<double> x(before.cols());
    for (std::size_t c = 0; c < x.size(); ++c) x[c] = static_cast<double>(before.row(r)[c]) - after.row(r)[c];
    sum += naive_loss(x, h);
  }
  return sum;
}

double zeros_of(const FloatMatrix& matrix) {
  return static_cast<double>(std::count(matrix.data(), matrix.data() + matrix.size(), 0.0f)) / static_cast<double>(matrix.size());
}

/// The algorithm of the SparseGPT paper as it stands there, for one block of columns: by the inverse's Cholesky factor.
Doubles naive_sparse_gpt(const FloatMatrix& weights, const Doubles& h, double sparsity) {
  const Doubles u = naive_upper_cholesky(naive_inverse(h));
  const std::size_t rows = weights.rows(), cols = weights.cols();
  Doubles w(rows, std::vector<double>(cols));
  std::vector<double> scores;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < cols; ++c) {
      w[r][c] = weights.row(r)[c];
      scores.push_back(w[r][c] * w[r][c] / (u[c][c] * u[c][c]));
    }
  std::vector<double> sorted = scores;
  std::sort(sorted.begin(), sorted.end());
  const double threshold = sorted[static_cast<std::size_t>(sparsity * static_cast<double>(sorted.size())) - 1];
  for (std::size_t c = 0; c < cols; ++c)
    for (std::size_t r = 0; r < rows; ++r) {
      const double kept = scores[r * cols + c] > threshold ? w[r][c] : 0.0;
      const double error = (w[r][c] - kept) / u[c][c];
      for (std::size_t later = c; later < cols; ++later) w[r][later] -= error * u[c][later];
      w[r][c] = kept;
    }
  return w;
}

/// What a block of columns loses in the best case when all of it goes and the columns before it stay as they are: by the inverse of what H has
/// of the columns from the block on. By row, then block.
Doubles naive_block_losses(const FloatMatrix& weights, const Doubles& h, std::size_t width) {
  Doubles losses(weights.rows());
  for (std::size_t first = 0; first < h.size(); first += width) {
    const auto at = static_cast<std::ptrdiff_t>(first);
    const std::size_t n = std::min(width, h.size() - first);
    Doubles rest(h.begin() + at, h.end());
    for (auto& row : rest) row.erase(row.begin(), row.begin() + at);
    Doubles of_block = naive_inverse(rest);
    of_block.resize(n);
    for (auto& row : of_block) row.resize(n);
    const Doubles inverse = naive_inverse(of_block);
    for (std::size_t r = 0; r < weights.rows(); ++r)
      losses[r].push_back(naive_loss(std::vector<double>(weights.row(r) + first, weights.row(r) + first + n), inverse));
  }
  return losses;
}

/// True when each block of four columns of a row is zero as a whole or has no zero; counts those that are zero.
bool holds_blocks(const FloatMatrix& matrix, std::size_t& zero_blocks) {
  bool all = true;
  zero_blocks = 0;
  for (std::size_t r = 0; r < matrix.rows(); ++r) {
    for (std::size_t c = 0; c < matrix.cols(); c += 4) {
      const float* const end = matrix.row(r) + std::min(c + 4, matrix.cols());
      const auto zeros = std::count(matrix.row(r) + c, end, 0.0f);
      all = all && (zeros == 0 || zeros == end - (matrix.row(r) + c));
      zero_blocks += zeros > 0;
    }
  }
  return all;
}

/// Least squares on a row's mask by the normal equations.
std::vector<double> naive_refit(const float* before, const float* after, const Doubles& h) {
  std::vector<std::size_t> kept;
  for (std::size_t c = 0; c < h.size(); ++c)
    if (after[c] != 0.0f) kept.push_back(c);
  Doubles a(kept.size(), std::vector<double>(kept.size()));
  std::vector<double> right(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (std::size_t j = 0; j < kept.size(); ++j) a[i][j] = h[kept[i]][kept[j]];
    for (std::size_t j = 0; j < h.size(); ++j) right[i] += h[kept[i]][j] * before[j];
  }
  const Doubles inverse = naive_inverse(a);
  std::vector<double> result(h.size());
  for (std::size_t i = 0; i < kept.size(); ++i)
    for (std::size_t j = 0; j < kept.size(); ++j) result[kept[i]] += inverse[i][j] * right[j];
  return result;
}

}  // namespace

TEST_CASE("sparsegpt gives the weights of the paper's own formulation") {
  MemoryMeter meter;
  TestCompute two(2);
  const Inputs inputs(two.compute, meter, 60);
  const FloatMatrix weights = random_matrix(meter, 40, 60, 1);
  FloatMatrix pruned = copy_of(meter, weights);
  const MatrixOutcome outcome = prune_matrix(two.compute, meter, {.sparsity = 0.5}, inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
  CHECK(outcome.kept == 40 * 60 / 2);
  const Doubles expected = naive_sparse_gpt(weights, inputs.naive, 0.5);
  for (std::size_t r = 0; r < 40; ++r)
    for (std::size_t c = 0; c < 60; ++c) {
      CAPTURE(r, c);
      REQUIRE((pruned.row(r)[c] == 0) == (expected[r][c] == 0));
      REQUIRE(std::fabs(pruned.row(r)[c] - expected[r][c]) < 0.004 * std::fabs(expected[r][c]) + 1e-3);  // bf16 joins in
    }
  CHECK(outcome.lost == Approx(loss_of(weights, pruned, inputs.naive)).epsilon(1e-2));
  CHECK(outcome.total == Approx(loss_of(weights, FloatMatrix(meter, 40, 60), inputs.naive)).epsilon(1e-3));
}

TEST_CASE("sparsegpt prunes the blocks of four columns that lose least when the rest makes up for them") {
  MemoryMeter meter;
  TestCompute two(2);
  for (const std::size_t cols : {60u, 43u}) {
    const Inputs inputs(two.compute, meter, cols);
    const FloatMatrix weights = random_matrix(meter, 40, cols, 1);
    FloatMatrix pruned = copy_of(meter, weights);
    prune_matrix(two.compute, meter, {.structure = *parse_structure("1x4"), .sparsity = 0.7}, inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
    std::size_t zero_blocks = 0;
    CHECK(holds_blocks(pruned, zero_blocks));
    const std::size_t blocks = 40 * ((cols + 3) / 4);
    CHECK(zero_blocks == static_cast<std::size_t>(std::lround(0.7 * static_cast<double>(blocks))));
    const Doubles losses = naive_block_losses(weights, inputs.naive, 4);
    double largest_pruned = 0, smallest_kept = 1e9;
    for (std::size_t r = 0; r < 40; ++r)
      for (std::size_t b = 0; b < losses[r].size(); ++b) {
        if (pruned.row(r)[4 * b] == 0) largest_pruned = std::max(largest_pruned, losses[r][b]);
        else smallest_kept = std::min(smallest_kept, losses[r][b]);
      }
    CHECK(largest_pruned < smallest_kept * 1.001);
  }
}

TEST_CASE("blocks of four columns are kept or zero as a whole by every method, in matrices of any width, and what stays is fitted") {
  MemoryMeter meter;
  TestCompute two(2);
  for (const std::size_t cols : {7u, 131u, 260u}) {
    const Inputs inputs(two.compute, meter, cols);
    const FloatMatrix weights = random_matrix(meter, 150, cols, 8);
    const std::size_t blocks = 150 * ((cols + 3) / 4);
    for (const double sparsity : {0.0, 0.5, 0.9, 1.0}) {
      for (const auto& [method, refit] : {std::pair{PruneMethod::kMagnitude, false}, {PruneMethod::kWanda, false}, {PruneMethod::kWanda, true},
                                          {PruneMethod::kSparseGpt, false}, {PruneMethod::kSparseGpt, true}}) {
        CAPTURE(cols, sparsity, prune_method_name(method), refit);
        FloatMatrix pruned = copy_of(meter, weights);
        const MatrixRules rules{.method = method, .refit = refit, .structure = *parse_structure("1x4"), .sparsity = sparsity};
        const MatrixOutcome outcome = prune_matrix(two.compute, meter, rules, inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
        std::size_t zero_blocks = 0;
        CHECK(holds_blocks(pruned, zero_blocks));
        // Wanda rounds the number of each row by itself, of 2 blocks in the narrowest; the others those of 128 rows or more.
        const bool by_row = method == PruneMethod::kWanda;
        CHECK(std::fabs(static_cast<double>(zero_blocks) - sparsity * static_cast<double>(blocks)) <= (by_row ? 150 * 0.5 : 3));
        CHECK(outcome.kept == static_cast<std::size_t>(std::count_if(pruned.data(), pruned.data() + pruned.size(), [](float w) { return w != 0; })));
        // Zeroing the same blocks and nothing else loses no less.
        FloatMatrix zeroed = copy_of(meter, weights);
        for (std::size_t i = 0; i < zeroed.size(); ++i)
          if (pruned.data()[i] == 0) zeroed.data()[i] = 0;
        if (method == PruneMethod::kSparseGpt || refit) {
          const double plain = loss_of(weights, zeroed, inputs.naive);
          CHECK(loss_of(weights, pruned, inputs.naive) <= (sparsity == 0.5 ? 0.9 : 1.0) * plain + 1e-5 * outcome.total);  // and bf16
        }
      }
    }
  }
}

TEST_CASE("magnitude and wanda prune the weights with the smallest scores and change no other") {
  MemoryMeter meter;
  TestCompute two(2);
  const Inputs inputs(two.compute, meter, 50);
  const FloatMatrix weights = random_matrix(meter, 150, 50, 2);
  for (const PruneMethod method : {PruneMethod::kMagnitude, PruneMethod::kWanda}) {
    FloatMatrix pruned = copy_of(meter, weights);
    prune_matrix(two.compute, meter, {.method = method, .sparsity = 0.7}, {nullptr, nullptr, inputs.norms}, std::vector<std::size_t>{0}, pruned);
    CHECK(zeros_of(pruned) == Approx(0.7).epsilon(1e-3));
    double largest_pruned = 0, smallest_kept = 1e9;
    for (std::size_t r = 0; r < 150; ++r) {
      if (method == PruneMethod::kWanda) largest_pruned = 0, smallest_kept = 1e9;
      for (std::size_t c = 0; c < 50; ++c) {
        const double score = std::fabs(weights.row(r)[c]) * (method == PruneMethod::kWanda ? inputs.norms[c] : 1.0f);
        if (pruned.row(r)[c] == 0) largest_pruned = std::max(largest_pruned, score);
        else smallest_kept = std::min(smallest_kept, score);
        if (pruned.row(r)[c] != 0) CHECK(pruned.row(r)[c] == engine::bf16_to_f32(engine::f32_to_bf16(weights.row(r)[c])));
      }
      if (method == PruneMethod::kWanda) CHECK(largest_pruned <= smallest_kept);
    }
    CHECK(largest_pruned <= smallest_kept);
  }
}

TEST_CASE("a refit is the least-squares solution on the mask") {
  MemoryMeter meter;
  TestCompute two(2);
  const Inputs inputs(two.compute, meter, 48);
  const FloatMatrix weights = random_matrix(meter, 10, 48, 3);
  for (const PruneMethod method : {PruneMethod::kWanda, PruneMethod::kSparseGpt}) {
    FloatMatrix pruned = copy_of(meter, weights);
    prune_matrix(two.compute, meter, {.method = method, .refit = true, .sparsity = 0.5}, inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
    for (std::size_t r = 0; r < 10; ++r) {
      const auto expected = naive_refit(weights.row(r), pruned.row(r), inputs.naive);
      for (std::size_t c = 0; c < 48; ++c) CHECK(std::fabs(pruned.row(r)[c] - expected[c]) < 0.004 * std::fabs(expected[c]) + 2e-4);
    }
  }
}

TEST_CASE("what is lost falls from magnitude to wanda to sparsegpt to a refit, at every structure") {
  MemoryMeter meter;
  TestCompute two(2);
  const Inputs inputs(two.compute, meter, 300);  // three blocks of columns
  const FloatMatrix weights = random_matrix(meter, 140, 300, 4);
  for (const char* structure : {"unstructured", "1x4", "2:4", "n:64"}) {
    std::vector<double> losses;
    for (const auto& [method, refit] : {std::pair{PruneMethod::kMagnitude, false}, {PruneMethod::kWanda, false},
                                        {PruneMethod::kWanda, true}, {PruneMethod::kSparseGpt, false}, {PruneMethod::kSparseGpt, true}}) {
      FloatMatrix pruned = copy_of(meter, weights);
      prune_matrix(two.compute, meter, {.method = method, .refit = refit, .structure = *parse_structure(structure), .sparsity = 0.5},
                   inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
      CHECK(zeros_of(pruned) == Approx(0.5).epsilon(0.015));  // of 75 blocks in a row 38
      const std::size_t group = parse_structure(structure)->group;
      for (std::size_t r = 0; group > 0 && r < 140; ++r)
        for (std::size_t c = 0; c + group <= 300; c += group)
          REQUIRE(std::count(pruned.row(r) + c, pruned.row(r) + c + group, 0.0f) == static_cast<std::ptrdiff_t>(group / 2));
      losses.push_back(loss_of(weights, pruned, inputs.naive));
    }
    CAPTURE(structure, losses[0], losses[1], losses[2], losses[3], losses[4]);
    CHECK(losses[1] < losses[0]);
    CHECK(losses[2] < losses[1]);
    CHECK(losses[3] < losses[1]);
    CHECK(losses[4] < losses[3]);
    CHECK(losses[4] < 1.05 * losses[2]);  // different masks
  }
}

TEST_CASE("joint rounding loses less than rounding afterwards") {
  MemoryMeter meter;
  TestCompute two(2);
  const Inputs inputs(two.compute, meter, 256);
  const FloatMatrix weights = random_matrix(meter, 130, 256, 5);
  const std::vector<std::size_t> pieces{0, 100};
  for (const PrunedValues values : {PrunedValues::kInt4, PrunedValues::kInt8}) {
    const auto lost = [&](PruneMethod method, bool refit, PrunedValues as) {
      FloatMatrix pruned = copy_of(meter, weights);
      prune_matrix(two.compute, meter, {.method = method, .refit = refit, .sparsity = 0.5, .values = as}, inputs.knowledge(), pieces, pruned);
      CHECK(zeros_of(pruned) < 0.57);  // some round to zero
      return loss_of(weights, pruned, inputs.naive);
    };
    const double alone = lost(PruneMethod::kSparseGpt, true, PrunedValues::kBf16);
    const double joint = lost(PruneMethod::kSparseGpt, true, values);
    CHECK(lost(PruneMethod::kSparseGpt, false, values) < lost(PruneMethod::kWanda, false, values));
    CHECK(joint < lost(PruneMethod::kSparseGpt, false, values));
    CHECK(joint > alone);
    // Rounding the same fit without making up for it.
    FloatMatrix fitted = copy_of(meter, weights);
    prune_matrix(two.compute, meter, {.refit = true, .sparsity = 0.5}, inputs.knowledge(), pieces, fitted);
    RowGroup group(meter, 256);
    for (const std::size_t first : {0u, 128u}) {
      group.load(fitted, first, std::min<std::size_t>(kRowGroup, 130 - first));
      for (std::size_t c = 0; c < 256; ++c)
        for (std::size_t r = 0; r < kRowGroup; ++r) group.keep(c)[r] = group.values(c)[r] != 0;
      Grid grid;
      grid.choose(values, column_runs(values, pieces, 256, 0.5), {}, group);
      grid.round_all(group);
      group.store(fitted, first);
    }
    CHECK(joint - alone < 0.7 * (loss_of(weights, fitted, inputs.naive) - alone));
  }
}

TEST_CASE("pruned weights have the same bits with any number of threads and on every instruction set") {
  MemoryMeter meter;
  TestCompute reference(1, "scalar");
  const FloatMatrix weights = random_matrix(meter, 300, 130, 6);
  const auto prune = [&](const Compute& compute, const char* structure) {
    const MatrixRules rules{.refit = true, .structure = *parse_structure(structure), .sparsity = 0.6, .values = PrunedValues::kInt4};
    const Inputs inputs(compute, meter, 130);
    FloatMatrix pruned = copy_of(meter, weights);
    prune_matrix(compute, meter, rules, inputs.knowledge(), std::vector<std::size_t>{0}, pruned);
    return pruned;
  };
  for (const char* structure : {"unstructured", "1x4"}) {
    const FloatMatrix expected = prune(reference.compute, structure);
    for (const engine::KernelTable* table : engine::all_kernels()) {
      if (!engine::kernels_supported(*table)) continue;
      TestCompute three(3, table->name);
      const FloatMatrix pruned = prune(three.compute, structure);
      CHECK(std::equal(pruned.data(), pruned.data() + pruned.size(), expected.data()));
    }
  }
}

TEST_CASE("without statistics the largest weights are kept, whatever was asked for") {
  MemoryMeter meter;
  TestCompute one(1);
  const FloatMatrix weights = random_matrix(meter, 20, 64, 7);
  FloatMatrix asked = copy_of(meter, weights), magnitude = copy_of(meter, weights);
  prune_matrix(one.compute, meter, {.refit = true, .values = PrunedValues::kInt4}, {}, std::vector<std::size_t>{0}, asked);
  prune_matrix(one.compute, meter, {.method = PruneMethod::kMagnitude, .values = PrunedValues::kInt4}, {}, std::vector<std::size_t>{0}, magnitude);
  CHECK(std::equal(asked.data(), asked.data() + asked.size(), magnitude.data()));
  CHECK(zeros_of(asked) >= 0.5);
}
