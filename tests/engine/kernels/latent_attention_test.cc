#include <catch2/catch.hpp>

#include <cmath>

#include "engine/formats/bf16.h"
#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

constexpr int kPositions = 300;  // two runs
constexpr int kTablePages = 10;
constexpr int kPoolPages = 23;
constexpr float kScale = 0.3f;

struct Window {
  int first, last;
};

/// Latents of kPositions positions as they are stored, everything else NaN.
struct Cache {
  KvType type;
  int latent_dim, row_dim;
  std::size_t block_bytes;
  std::vector<std::int32_t> pages;
  std::vector<float> rows;  // (kPositions, row_dim), as they are stored
  AlignedBuffer<std::byte> pool;

  Cache(KvType kv, int latent, int rotary)
      : type(kv), latent_dim(latent), row_dim(latent + rotary), block_bytes(latent_block_bytes(latent + rotary, kv)),
        rows(normal_values(kPositions * static_cast<std::size_t>(row_dim), 1)), pool(kPoolPages * block_bytes) {
    for (int i = 0; i < kTablePages; ++i) pages.push_back((i * 7 + 3) % kPoolPages);
    std::memset(pool.data(), 0xff, pool.size());
    const auto width = static_cast<std::size_t>(row_dim);
    for (std::size_t p = 0; p < kPositions; ++p) {
      float* const row = &rows[p * width];
      // Rotated keys are much larger than latents: each needs its scale.
      for (int d = latent_dim; d < row_dim; ++d) row[d] *= 20.0f;
      std::byte* const block = pool.data() + static_cast<std::size_t>(pages[p / kPageTokens]) * block_bytes;
      scalar_table().store_latent[static_cast<int>(kv)](row, latent_dim, row_dim, static_cast<int>(p % kPageTokens), block);
      if (kv == KvType::kBf16)
        for (std::size_t d = 0; d < width; ++d) row[d] = bf16_to_f32(f32_to_bf16(row[d]));
      if (kv == KvType::kInt8) {
        round_to_int8(row, static_cast<std::size_t>(latent_dim));
        round_to_int8(row + latent_dim, static_cast<std::size_t>(rotary));
      }
    }
  }

  static void round_to_int8(float* x, std::size_t count) {
    float largest = 0;
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i]));
    const float scale = largest / 127.0f;
    for (std::size_t i = 0; i < count && scale > 0; ++i) x[i] = scale * std::nearbyint(x[i] / scale);
  }
};

struct Queries {
  std::size_t count, stride;
  std::vector<float> values;
  Queries(std::size_t n, const Cache& cache)
      : count(n), stride(static_cast<std::size_t>(cache.row_dim) + 5), values(normal_values(n * stride, 3, 0.2f)) {}
};

/// Query q of one run sees windows[q]; sums divided by totals.
std::vector<float> attend(const KernelTable& table, const Cache& cache, const Queries& queries, const std::vector<Window>& windows) {
  const std::size_t row = kv_value_stride(cache.latent_dim);
  AlignedBuffer<float> sums(queries.count * row);
  std::vector<RunQuery> found(queries.count);
  for (std::size_t q = 0; q < queries.count; ++q) {
    const Window& window = windows[q % windows.size()];
    found[q] = {.query = queries.values.data() + q * queries.stride, .sum = sums.data() + q * row, .first = window.first, .last = window.last};
  }
  AttendArgs args;
  args.queries = found.data();
  args.n_queries = static_cast<int>(queries.count);
  args.head_dim = cache.row_dim;
  args.value_dim = cache.latent_dim;
  args.scale = kScale;
  args.pages = cache.pages.data();
  args.blocks = cache.pool.data();
  args.page_stride_bytes = cache.block_bytes;
  table.attend_latent[static_cast<int>(cache.type)](args);
  for (RunQuery& query : found) table.scale(query.sum, 1.0f / query.total, row);
  return {sums.data(), sums.data() + sums.size()};
}

double worst_error(const Cache& cache, const Queries& queries, const std::vector<Window>& windows, const std::vector<float>& out) {
  const auto width = static_cast<std::size_t>(cache.row_dim), latent = static_cast<std::size_t>(cache.latent_dim);
  const std::size_t out_stride = out.size() / queries.count;
  double worst = 0;
  for (std::size_t q = 0; q < queries.count; ++q) {
    const Window window = windows[q % windows.size()];
    std::vector<double> sums(latent, 0.0);
    double total = 0;
    for (int p = window.first; p <= window.last; ++p) {
      const float* const row = &cache.rows[static_cast<std::size_t>(p) * width];
      double score = 0;
      for (std::size_t d = 0; d < width; ++d)
        score += static_cast<double>(queries.values[q * queries.stride + d]) * static_cast<double>(row[d]);
      const double weight = std::exp(score * static_cast<double>(kScale));
      total += weight;
      for (std::size_t d = 0; d < latent; ++d) sums[d] += weight * static_cast<double>(row[d]);
    }
    for (std::size_t d = 0; d < latent; ++d) {
      const double error = std::fabs(static_cast<double>(out[q * out_stride + d]) - sums[d] / total);
      worst = std::isnan(error) ? 1e300 : std::max(worst, error);
    }
    for (std::size_t d = latent; d < out_stride; ++d) CHECK(out[q * out_stride + d] == 0.0f);
  }
  return worst;
}

constexpr KvType kTypes[] = {KvType::kF32, KvType::kBf16, KvType::kInt8};
const std::vector<Window> kWindows{{0, 0},   {0, 15},   {0, 31},    {0, 32},   {3, 40},   {31, 33},
                                   {64, 64}, {17, 250}, {0, 255}, {100, 101}, {255, 255}, {5, 131}};

}  // namespace

TEST_CASE("attention over latents is a softmax over the window, whatever lies outside of it") {
  for (const KvType type : kTypes) {
    for (const auto& [latent, rotary] : {std::pair(16, 2), {32, 16}, {48, 6}, {80, 64}}) {
      const Cache cache(type, latent, rotary);
      for (const Window window : kWindows) {
        CAPTURE(static_cast<int>(type), latent, rotary, window.first, window.last);
        const Queries queries(3, cache);
        // The reference rounds int8 numbers times their scale to float, the kernels do not.
        CHECK(worst_error(cache, queries, {window}, attend(scalar_table(), cache, queries, {window})) < 4e-5);
      }
    }
  }
}

TEST_CASE("latents: every instruction set gives the same bits, whatever queries are beside one") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KvType type : kTypes) {
    const Cache cache(type, 48, 16);
    const Queries together(37, cache);
    const auto expected = attend(scalar_table(), cache, together, kWindows);
    CHECK(worst_error(cache, together, kWindows, expected) < 4e-5);
    for (const KernelTable* table : tables) {
      CAPTURE(table->name, static_cast<int>(type));
      CHECK(attend(*table, cache, together, kWindows) == expected);
      for (std::size_t q = 0; q < together.count; ++q) {
        Queries alone(1, cache);
        std::copy_n(&together.values[q * together.stride], together.stride, alone.values.begin());
        const auto single = attend(*table, cache, alone, {kWindows[q % kWindows.size()]});
        if (std::memcmp(single.data(), &expected[q * single.size()], single.size() * sizeof(float)) != 0) FAIL_CHECK("query " << q);
      }
    }
  }
}
