#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "engine/formats/bf16.h"
#include "tests/engine/kernels/fixtures.h"

using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

constexpr FormatId kFormats[] = {FormatId::kF32,        FormatId::kBf16,        FormatId::kInt8,
                                 FormatId::kInt4,       FormatId::kBitmaskBf16, FormatId::kBitmaskInt8,
                                 FormatId::kBitmaskInt4, FormatId::kPermuteInt8, FormatId::kPermuteInt4,
                                 FormatId::kGapInt4,     FormatId::kQuadInt8,    FormatId::kQuadInt4};

/// Dense formats get dense matrices; sparse ones something else each time.
double density_of(FormatId format, unsigned number) {
  constexpr double kDensities[] = {0.5, 0.1, 1.0, 0.03, 0.25, 0.0, 0.8, 0.06};
  return static_cast<int>(format) < static_cast<int>(FormatId::kBitmaskBf16) ? 1.0 : kDensities[number % std::size(kDensities)];
}

StripsFunction strips_of(const KernelTable& table, FormatId format) { return table.strips[static_cast<int>(format)]; }

std::vector<float> multiply(const KernelTable& table, const PackedMatrix& matrix, const Activations& activations,
                            int n_tokens) {
  const std::size_t stride = std::size_t{matrix.view.n_strips()} * kStripRows + 5;
  std::vector<float> out(static_cast<std::size_t>(n_tokens) * stride, -3.0f);
  strips_of(table, matrix.view.format)(matrix.view, 0, matrix.view.n_strips(), activations, n_tokens, out.data(),
                                       stride);
  return out;
}

struct Expected {
  double value = 0;
  double magnitude = 0;  // sum of the absolute products: what rounding errors are proportional to
};

/// In double precision from the weights that the format stands for.
Expected expected(const PackedMatrix& matrix, const Inputs& inputs, std::size_t row, std::size_t token) {
  const std::size_t cols = matrix.view.cols;
  // What strips decode to is checked in the tests of the formats.
  const Format& format = *find_format(matrix.view.format);
  std::vector<float> decoded(cols);
  format.decode_row(matrix.view.strip(static_cast<std::uint32_t>(row / kStripRows)), static_cast<int>(row % kStripRows), cols,
                    decoded.data());
  Expected sum;
  for (std::size_t c = 0; c < cols; ++c) {
    const double w = static_cast<double>(decoded[c]);
    double x = static_cast<double>(inputs.values[token * inputs.stride + c]);
    if (format.activations() == ActivationKind::kInt8)
      x = static_cast<double>(inputs.q8[token * inputs.stride + c]) *
          static_cast<double>(inputs.scales[token * inputs.groups + c / 64]);
    if (format.activations() == ActivationKind::kWide) {
      const WideGroup& group = inputs.wide[c / 512 * inputs.wide_rows + token];
      x = static_cast<double>(group.bytes[c % 512] - 128) * static_cast<double>(group.scale);
    }
    sum.value += w * x;
    sum.magnitude += std::fabs(w * x);
  }
  return sum;
}

std::vector<std::uint32_t> interesting_cols() {
  std::vector<std::uint32_t> cols;
  for (std::uint32_t c = 1; c <= 70; ++c) cols.push_back(c);
  for (const std::uint32_t c : {127u, 128u, 129u, 257u, 521u, 1536u, 2600u}) cols.push_back(c);
  return cols;
}

}  // namespace

TEST_CASE("the scalar multiplication is right to rounding") {
  for (const FormatId format : kFormats) {
    for (const std::uint32_t cols : {1u, 2u, 3u, 5u, 17u, 63u, 64u, 65u, 70u, 129u, 300u, 513u, 1100u}) {
      for (const std::uint32_t rows : {1u, 15u, 16u, 17u, 50u}) {
        CAPTURE(find_format(format)->name(), cols, rows);
        const PackedMatrix matrix(format, rows, cols, cols * 64 + rows, density_of(format, cols + rows));
        const Inputs inputs(3, cols, rows);
        const auto out = multiply(scalar_table(), matrix, inputs.activations(), 3);
        const std::size_t stride = out.size() / 3;
        double worst = 0;
        bool padding_is_zero = true;
        for (std::size_t t = 0; t < 3; ++t) {
          for (std::size_t row = 0; row < rows; ++row) {
            const Expected want = expected(matrix, inputs, row, t);
            const double error = std::fabs(static_cast<double>(out[t * stride + row]) - want.value);
            worst = std::max(worst, error / (want.magnitude + 1e-30));
          }
          for (std::size_t row = rows; row < stride - 5; ++row) {
            padding_is_zero = padding_is_zero && out[t * stride + row] == 0.0f;
          }
          CHECK(out[t * stride + stride - 1] == -3.0f);  // past the last strip
        }
        CHECK(worst < 1e-6);
        CHECK(padding_is_zero);
      }
    }
  }
}

TEST_CASE("every instruction set multiplies to the same bits as the scalar one") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kFormats) {
      for (const std::uint32_t cols : interesting_cols()) {
        const std::uint32_t rows = 1 + cols * 7 % 50;
        const PackedMatrix matrix(format, rows, cols, cols, density_of(format, cols));
        const Inputs inputs(20, cols, cols + 1);
        for (const int n_tokens : {1, 2, 5, 6, 7, 13, 20}) {
          if (cols > 300 && n_tokens > 7) continue;
          CAPTURE(table->name, find_format(format)->name(), cols, rows, n_tokens);
          const auto want = multiply(scalar_table(), matrix, inputs.activations(), n_tokens);
          if (!same_bits(multiply(*table, matrix, inputs.activations(), n_tokens), want)) FAIL_CHECK("different bits");
        }
      }
    }
  }
}

TEST_CASE("every number of rows and tokens gives the same bits") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kFormats) {
      for (std::uint32_t rows = 1; rows <= 50; rows += rows < 18 ? 1 : 5) {
        const PackedMatrix matrix(format, rows, 77, rows, density_of(format, rows));
        const Inputs inputs(40, 77, rows + 100);
        for (int n_tokens = 1; n_tokens <= (rows % 5 == 0 ? 40 : 14); ++n_tokens) {
          CAPTURE(table->name, find_format(format)->name(), rows, n_tokens);
          const auto want = multiply(scalar_table(), matrix, inputs.activations(), n_tokens);
          if (!same_bits(multiply(*table, matrix, inputs.activations(), n_tokens), want)) FAIL_CHECK("different bits");
        }
      }
    }
  }
}

TEST_CASE("a token's result depends neither on the batch, nor on the strips' division, nor on where its row lies") {
  const std::uint32_t rows = 83, cols = 203;
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (const FormatId format : kFormats) {
      CAPTURE(table->name, find_format(format)->name());
      const PackedMatrix matrix(format, rows, cols, 3, density_of(format, 1));
      const Inputs inputs(600, cols, 4);
      const int n_tokens = table->name == std::string("scalar") ? 30 : 600;
      const std::uint32_t n_strips = matrix.view.n_strips();
      const std::size_t stride = n_strips * kStripRows;

      // Rows gathered in a scrambled order with repetitions, strips in three runs.
      std::vector<std::int32_t> order(static_cast<std::size_t>(n_tokens));
      for (std::size_t t = 0; t < order.size(); ++t) order[t] = static_cast<std::int32_t>(t * 7919 % 593);
      Activations gathered = inputs.activations();
      gathered.rows = order.data();
      std::vector<float> out(order.size() * stride, -3.0f);
      const auto function = strips_of(*table, format);
      function(matrix.view, 0, 1, gathered, n_tokens, out.data(), stride);
      function(matrix.view, 1, 4, gathered, n_tokens, out.data(), stride);
      function(matrix.view, 4, 4, gathered, n_tokens, out.data(), stride);
      function(matrix.view, 4, n_strips, gathered, n_tokens, out.data(), stride);

      bool same = true;
      std::vector<float> alone(stride);
      for (std::size_t t = 0; t < order.size(); ++t) {
        Activations one = inputs.activations();
        one.rows = &order[t];
        function(matrix.view, 0, n_strips, one, 1, alone.data(), stride);
        same = same && std::memcmp(alone.data(), &out[t * stride], stride * sizeof(float)) == 0;
      }
      CHECK(same);
    }
  }
}

TEST_CASE("rows at any distance give the bits that they give alone") {
  const std::uint32_t rows = 16, cols = 700;
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (const FormatId format : kFormats) {
      const PackedMatrix matrix(format, rows, cols, 5, density_of(format, 1));
      const Inputs inputs(150, cols, 6);
      for (const int distance : {1, 2, 5, -1, 0}) {
        CAPTURE(table->name, find_format(format)->name(), distance);
        std::vector<std::int32_t> order;
        for (int t = 0; t < 29; ++t) order.push_back(distance < 0 ? 149 - t : 3 + t * distance);
        Activations taken = inputs.activations();
        taken.rows = order.data();
        std::vector<float> out(order.size() * rows), alone(rows);
        strips_of(*table, format)(matrix.view, 0, 1, taken, 29, out.data(), rows);
        bool same = true;
        for (std::size_t t = 0; t < order.size(); ++t) {
          taken.rows = &order[t];
          strips_of(*table, format)(matrix.view, 0, 1, taken, 1, alone.data(), rows);
          same = same && std::memcmp(alone.data(), &out[t * rows], rows * sizeof(float)) == 0;
        }
        CHECK(same);
      }
    }
  }
}

TEST_CASE("a product that is added gives the bits of one that is written elsewhere and added then") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    for (const FormatId format : kFormats) {
      const StripsFunction add = table->add_strips[static_cast<int>(format)];
      REQUIRE((add == nullptr) == (find_format(format)->activations() == ActivationKind::kF32));
      if (add == nullptr) continue;
      for (const std::uint32_t cols : {30u, 64u, 200u, 512u, kMostAddedColumns}) {
        const PackedMatrix matrix(format, 50, cols, cols, density_of(format, cols));
        const Inputs inputs(21, cols, 7);
        for (const int n_tokens : {1, 3, 7, 21}) {
          CAPTURE(table->name, find_format(format)->name(), cols, n_tokens);
          const auto part = multiply(*table, matrix, inputs.activations(), n_tokens);
          const std::vector<float> before = normal_values(part.size(), 8);
          std::vector<float> sum = before;
          add(matrix.view, 0, matrix.view.n_strips(), inputs.activations(), n_tokens, sum.data(), part.size() / static_cast<std::size_t>(n_tokens));
          bool same = true;
          for (std::size_t i = 0; i < sum.size(); ++i) same = same && (part[i] == -3.0f ? sum[i] == before[i] : sum[i] == before[i] + part[i]);
          CHECK(same);
        }
      }
    }
  }
}

TEST_CASE("int8 keeps exact sums at its extremes") {
  // All weights and activations at the ends of their ranges: sums would saturate in 16 bits.
  const std::uint32_t rows = 16, cols = 130;
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const float w : {-1.0f, 1.0f}) {
    for (const float x : {-127.0f, 127.0f}) {
      PackedMatrix matrix(FormatId::kInt8, rows, cols, 1);
      std::vector<std::byte> packed;
      const std::vector<float> weights(rows * cols, w * 127.0f);
      find_format(FormatId::kInt8)->encode_strip(weights.data(), cols, 16, cols, packed);
      std::memcpy(matrix.bytes.data(), packed.data(), packed.size());
      Inputs inputs(1, cols, 1);
      for (std::size_t c = 0; c < cols; ++c) inputs.q8[c] = static_cast<std::int8_t>(x);
      for (std::size_t g = 0; g < inputs.groups; ++g) {
        inputs.scales[g] = 1.0f;
        inputs.sums[g] = static_cast<int>(x) * static_cast<int>(std::min<std::size_t>(64, cols - g * 64));
      }
      for (const KernelTable* table : tables) {
        CAPTURE(table->name, w, x);
        const auto out = multiply(*table, matrix, inputs.activations(), 1);
        for (std::size_t row = 0; row < rows; ++row) CHECK(out[row] == w * 127.0f * x * static_cast<float>(cols));
      }
    }
  }
}

TEST_CASE("int8 stays close to the exact product") {
  const std::uint32_t rows = 64, cols = 2048;
  const PackedMatrix exact(FormatId::kF32, rows, cols, 9);
  const PackedMatrix int8(FormatId::kInt8, rows, cols, 9);
  const Inputs inputs(4, cols, 10);
  const auto want = multiply(scalar_table(), exact, inputs.activations(), 4);
  const auto got = multiply(scalar_table(), int8, inputs.activations(), 4);
  double error = 0, power = 0;
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t at = t * (rows + 5) + row;
      error += std::pow(static_cast<double>(got[at]) - static_cast<double>(want[at]), 2);
      power += std::pow(static_cast<double>(want[at]), 2);
    }
  }
  // Steps of about 1/36 (weights) and 1/48 (activations) of a deviation: two uniform errors of 1.2 % in all.
  CHECK(std::sqrt(error / power) < 0.015);
}

TEST_CASE("sparse strips multiply to the scalar bits at every density, balanced or not") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kFormats) {
      if (static_cast<int>(format) < static_cast<int>(FormatId::kBitmaskBf16)) continue;
      for (int percent = 0; percent <= 100; percent += percent < 30 ? 3 : 10) {
        const std::uint32_t rows = 33, cols = 640 + static_cast<std::uint32_t>(percent);
        const PackedMatrix matrix(format, rows, cols, static_cast<unsigned>(percent) + 7, percent / 100.0);
        const Inputs inputs(11, cols, 5);
        for (const int n_tokens : {1, 4, 11}) {
          CAPTURE(table->name, find_format(format)->name(), percent, n_tokens);
          const auto want = multiply(scalar_table(), matrix, inputs.activations(), n_tokens);
          if (!same_bits(multiply(*table, matrix, inputs.activations(), n_tokens), want)) FAIL_CHECK("different bits");
        }
      }
    }
  }
}

TEST_CASE("bitmask-bf16 multiplies to the bits of dense bf16") {
  for (const double density : {0.0, 0.15, 0.5, 1.0}) {
    const PackedMatrix sparse(FormatId::kBitmaskBf16, 50, 333, 8, density);
    const PackedMatrix dense(FormatId::kBf16, 50, 333, 8, density);
    const Inputs inputs(9, 333, 2);
    CHECK(same_bits(multiply(scalar_table(), sparse, inputs.activations(), 9), multiply(scalar_table(), dense, inputs.activations(), 9)));
  }
}
