// Every instruction set of this machine against the scalar table, bit for bit, and the scalar table against double
// precision.
#include "engine/kernels/kernels.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/base/units.h"

using namespace colonnade;
using namespace colonnade::engine;

namespace {

const KernelTable& scalar() {
  auto table = choose_kernels("scalar");
  REQUIRE(table.ok());
  return **table;
}

std::vector<const KernelTable*> vector_tables() {
  std::vector<const KernelTable*> tables;
  for (const KernelTable* table : all_kernels())
    if (kernels_supported(*table) && table != &scalar()) tables.push_back(table);
  return tables;
}

std::vector<float> random_values(std::size_t count, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

struct PackedMatrix {
  std::vector<float> weights;
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> offsets;
  AlignedBuffer<std::byte> aligned;
  MatrixView view;

  PackedMatrix(FormatId format, std::uint32_t rows, std::uint32_t cols, unsigned seed) : weights(random_values(rows * cols, seed)) {
    view.format = format;
    view.rows = rows;
    view.cols = cols;
    for (std::uint32_t s = 0; s < view.n_strips(); ++s) {
      offsets.push_back(bytes.size());
      find_format(format)->encode_strip(weights.data() + s * kStripRows * cols, cols,
                                        static_cast<int>(std::min<std::uint32_t>(kStripRows, rows - s * kStripRows)), cols, bytes);
    }
    offsets.push_back(bytes.size());
    // Exactly as long as the strips: a kernel that reads past the end is caught by the address sanitizer.
    aligned = AlignedBuffer<std::byte>(bytes.size());
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    view.base = aligned.data();
    view.strip_offsets = offsets.data();
  }
};

struct Input {
  std::size_t stride, groups;
  AlignedBuffer<float> values;
  AlignedBuffer<std::int8_t> q8;
  AlignedBuffer<float> scales;
  AlignedBuffer<std::int32_t> sums;
  Activations view;

  Input(std::size_t rows, std::size_t cols, unsigned seed)
      : stride(round_up(cols, kActivationGroup)), groups(stride / kActivationGroup), values(rows * stride), q8(rows * stride),
        scales(rows * groups), sums(rows * groups) {
    const auto random = random_values(rows * cols, seed);
    for (std::size_t r = 0; r < rows; ++r) {
      std::copy_n(random.data() + r * cols, cols, values.data() + r * stride);
      scalar().quantize(values.data() + r * stride, cols, q8.data() + r * stride, scales.data() + r * groups, sums.data() + r * groups);
    }
    view = {values.data(), stride, q8.data(), stride, scales.data(), sums.data(), groups, nullptr};
  }
};

std::vector<float> multiply(const KernelTable& table, const PackedMatrix& matrix, const Activations& input, int n_tokens,
                            std::uint32_t first, std::uint32_t last) {
  const std::size_t stride = matrix.view.n_strips() * kStripRows;
  std::vector<float> out(static_cast<std::size_t>(n_tokens) * stride, -7.0f);
  table.strips[static_cast<std::size_t>(matrix.view.format)](matrix.view, first, last, input, n_tokens, out.data(), stride);
  return out;
}

const FormatId kFormats[] = {FormatId::kF32, FormatId::kBf16, FormatId::kInt8};

}  // namespace

TEST_CASE("multiplication agrees with double precision over the decoded weights") {
  for (const FormatId format : kFormats) {
    for (const std::uint32_t cols : {1u, 3u, 4u, 5u, 63u, 64u, 65u, 127u, 257u}) {
      const PackedMatrix matrix(format, 21, cols, cols);
      const Input input(3, cols, cols + 1);
      const auto out = multiply(scalar(), matrix, input.view, 3, 0, 2);
      std::vector<float> row(cols);
      for (std::uint32_t r = 0; r < 32; ++r) {
        for (std::size_t t = 0; t < 3; ++t) {
          double expected = 0, magnitude = 1e-6;
          if (r < 21) {
            find_format(format)->decode_row(matrix.view.strip(r / 16), static_cast<int>(r % 16), cols, row.data());
            for (std::size_t c = 0; c < cols; ++c) {
              const double x = format == FormatId::kInt8
                                   ? input.q8[t * input.stride + c] * static_cast<double>(input.scales[t * input.groups + c / kActivationGroup])
                                   : input.values[t * input.stride + c];
              expected += row[c] * x;
              magnitude += std::abs(row[c] * x);
            }
          }
          CAPTURE(find_format(format)->name(), cols, r, t);
          CHECK(std::abs(out[t * 32 + r] - expected) < 1e-6 * magnitude);
        }
      }
    }
  }
}

TEST_CASE("every instruction set multiplies with the same bits at every size") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kFormats) {
      for (const std::uint32_t rows : {1u, 15u, 16u, 17u, 64u, 83u}) {
        for (const std::uint32_t cols : {1u, 2u, 4u, 7u, 16u, 33u, 64u, 67u, 128u, 131u, 320u}) {
          const PackedMatrix matrix(format, rows, cols, rows * 1000 + cols);
          const Input input(20, cols, cols);
          for (const int n_tokens : {1, 2, 3, 5, 6, 7, 13, 20}) {
            CAPTURE(table->name, find_format(format)->name(), rows, cols, n_tokens);
            REQUIRE(multiply(*table, matrix, input.view, n_tokens, 0, matrix.view.n_strips()) ==
                    multiply(scalar(), matrix, input.view, n_tokens, 0, matrix.view.n_strips()));
          }
        }
      }
    }
  }
}

TEST_CASE("a part of the strips and gathered rows give the same numbers as everything") {
  for (const KernelTable* table : vector_tables()) {
    for (const FormatId format : kFormats) {
      const PackedMatrix matrix(format, 100, 96, 5);
      const Input input(9, 96, 6);
      const auto all = multiply(*table, matrix, input.view, 9, 0, 7);
      const auto part = multiply(*table, matrix, input.view, 9, 2, 5);
      for (std::size_t t = 0; t < 9; ++t)
        for (std::size_t i = 0; i < 112; ++i) CHECK(part[t * 112 + i] == (i >= 32 && i < 80 ? all[t * 112 + i] : -7.0f));
      const std::int32_t rows[] = {8, 0, 3, 3};
      Activations gathered = input.view;
      gathered.rows = rows;
      const auto few = multiply(*table, matrix, gathered, 4, 0, 7);
      for (std::size_t t = 0; t < 4; ++t)
        for (std::size_t i = 0; i < 112; ++i) CHECK(few[t * 112 + i] == all[static_cast<std::size_t>(rows[t]) * 112 + i]);
    }
  }
}

TEST_CASE("elementwise functions give the same bits and the right values") {
  for (std::size_t count = 0; count < 70; ++count) {
    const auto x = random_values(count, 1, 3.0f), y = random_values(count, 2);
    const auto apply = [&](const KernelTable& table) {
      std::vector<std::vector<float>> results;
      std::vector<float> out(count);
      table.rms_norm(x.data(), y.data(), 1e-5f, count, out.data());
      results.push_back(out);
      out = x;
      table.add(out.data(), y.data(), count);
      results.push_back(out);
      out = x;
      table.add_scaled(out.data(), y.data(), 0.3f, count);
      results.push_back(out);
      out = x;
      table.silu_gate(out.data(), y.data(), count);
      results.push_back(out);
      if (count > 0)
        results.push_back({table.max_value(x.data(), count), table.sum_exp(x.data(), 1.0f, 0.7f, count), table.dot(x.data(), y.data(), count)});
      return results;
    };
    const auto expected = apply(scalar());
    CAPTURE(count);
    for (const KernelTable* table : vector_tables())
      if (count > 0) REQUIRE(apply(*table) == expected);
    double squares = 1e-5 * static_cast<double>(count);
    for (const float v : x) squares += static_cast<double>(v) * v;
    double dot = 0, sum_exp = 0, largest = -1e30;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(expected[0][i] == Approx(x[i] / std::sqrt(squares / static_cast<double>(count)) * y[i]).epsilon(1e-5).margin(1e-6));
      CHECK(expected[3][i] == Approx(x[i] / (1 + std::exp(-static_cast<double>(x[i]))) * y[i]).epsilon(1e-6).margin(1e-7));
      dot += static_cast<double>(x[i]) * y[i];
      sum_exp += std::exp((static_cast<double>(x[i]) - 1) * 0.7);
      largest = std::max<double>(largest, x[i]);
    }
    if (count == 0) continue;
    CHECK(expected[4][0] == Approx(largest));
    CHECK(expected[4][1] == Approx(sum_exp).epsilon(1e-5));
    CHECK(expected[4][2] == Approx(dot).epsilon(1e-4).margin(1e-4));
  }
}

TEST_CASE("quantisation keeps every value within half a step, the same on every instruction set") {
  for (const std::size_t count : {1u, 16u, 63u, 64u, 65u, 200u}) {
    const std::size_t stride = round_up(count, kActivationGroup), groups = stride / kActivationGroup;
    auto x = random_values(count, static_cast<unsigned>(count));
    if (count == 200) std::fill_n(x.begin() + 64, 64, 0.0f);
    std::vector<std::int8_t> q(stride, 99), other_q(stride, 99);
    std::vector<float> scales(groups), other_scales(groups);
    std::vector<std::int32_t> sums(groups), other_sums(groups);
    scalar().quantize(x.data(), count, q.data(), scales.data(), sums.data());
    for (std::size_t i = 0; i < stride; ++i) {
      const float scale = scales[i / kActivationGroup];
      if (i < count) CHECK(std::abs(static_cast<float>(q[i]) * scale - x[i]) <= 0.5001f * scale + 1e-12f);
      else CHECK(q[i] == 0);
    }
    for (std::size_t g = 0; g < groups; ++g) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(kActivationGroup); ++i) sum += q[g * kActivationGroup + i];
      CHECK(sums[g] == sum);
    }
    for (const KernelTable* table : vector_tables()) {
      table->quantize(x.data(), count, other_q.data(), other_scales.data(), other_sums.data());
      CHECK(other_q == q);
      CHECK(other_scales == scales);
      CHECK(other_sums == sums);
    }
  }
}

TEST_CASE("attention over pages agrees with a plain softmax, and has the same bits everywhere") {
  for (const int head_dim : {1, 8, 12, 24, 64, 80, 128}) {
    for (const int kv : {0, 1}) {
      const auto dim = static_cast<std::size_t>(head_dim);
      const std::size_t element = kv == 0 ? 4 : 2, block_bytes = kv_block_elements(head_dim) * element;
      const int n_positions = 100, n_queries = 3;
      const std::int32_t pages[] = {5, 1, 7, 2};
      AlignedBuffer<std::byte> cache(8 * block_bytes);
      const auto keys = random_values(n_positions * dim, 1), values = random_values(n_positions * dim, 2);
      for (std::size_t p = 0; p < static_cast<std::size_t>(n_positions); ++p)
        scalar().store_kv[kv](keys.data() + p * dim, values.data() + p * dim, head_dim, static_cast<int>(p % kPageTokens),
                              cache.data() + static_cast<std::size_t>(pages[p / kPageTokens]) * block_bytes);
      const auto queries = random_values(n_queries * dim, 3, 2.0f);
      const std::size_t width = round_up(dim, 16);
      struct Span { int first, last; };
      for (const Span span : {Span{0, 0}, Span{0, 15}, Span{0, 31}, Span{0, 32}, Span{0, 99}, Span{40, 99}, Span{33, 33}, Span{63, 64}, Span{92, 99}}) {
        AttendArgs args{queries.data(), dim, n_queries, head_dim, 0.37f, span.first, span.last, pages, cache.data(), block_bytes, nullptr, width};
        std::vector<float> out(n_queries * width, 9.0f);
        args.out = out.data();
        scalar().attend[kv](args);
        for (const KernelTable* table : vector_tables()) {
          std::vector<float> other(out.size(), 9.0f);
          args.out = other.data();
          table->attend[kv](args);
          CAPTURE(table->name, head_dim, kv, span.first, span.last);
          REQUIRE(other == out);
        }
        for (std::size_t q = 0; q < static_cast<std::size_t>(n_queries); ++q) {
          std::vector<double> weights;
          double total = 0;
          for (int p = span.first; p <= span.last; ++p) {
            double score = 0;
            for (std::size_t i = 0; i < dim; ++i) score += static_cast<double>(queries[q * dim + i]) * keys[static_cast<std::size_t>(p) * dim + i];
            weights.push_back(std::exp(score * 0.37));
            total += weights.back();
          }
          for (std::size_t i = 0; i < width; ++i) {
            double expected = 0;
            for (int p = span.first; i < dim && p <= span.last; ++p)
              expected += weights[static_cast<std::size_t>(p - span.first)] / total * values[static_cast<std::size_t>(p) * dim + i];
            CHECK(std::abs(out[q * width + i] - expected) < (kv == 0 ? 2e-5 : 0.06));
          }
        }
      }
    }
  }
}

TEST_CASE("an unknown or missing instruction set is an error that lists the choices") {
  const auto unknown = choose_kernels("sse9");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message == "--isa: expected auto, avx512, avx2, scalar; found \"sse9\"");
  CHECK(choose_kernels("").ok());
  for (const KernelTable* table : all_kernels()) CHECK(choose_kernels(table->name).ok() == kernels_supported(*table));
}
