#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "engine/formats/bf16.h"
#include "tests/engine/kernels/fixtures.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

constexpr int kPositions = 150;
constexpr std::int32_t kPages[] = {6, 1, 9, 4, 2};  // in no order; the pool has others between them

/// One KV head's cache of kPositions positions, everything else in it NaN.
struct Cache {
  KvType type;
  int head_dim;
  std::size_t block_bytes;
  std::vector<float> keys, values;  // (kPositions, head_dim), as they are stored
  AlignedBuffer<std::byte> pool;

  Cache(KvType kv, int dim)
      : type(kv), head_dim(dim),
        block_bytes(kv_block_elements(dim) * (kv == KvType::kF32 ? sizeof(float) : sizeof(std::uint16_t))),
        keys(normal_values(kPositions * static_cast<std::size_t>(dim), 1)),
        values(normal_values(kPositions * static_cast<std::size_t>(dim), 2)), pool(10 * block_bytes) {
    std::memset(pool.data(), 0xff, pool.size());  // NaN in both types
    const auto width = static_cast<std::size_t>(dim);
    for (int p = 0; p < kPositions; ++p) {
      const std::size_t at = static_cast<std::size_t>(p) * width;
      scalar_table().store_kv[static_cast<int>(kv)](&keys[at], &values[at], dim, p % kPageTokens, block(p));
    }
    if (kv == KvType::kF32) return;
    for (auto* stored : {&keys, &values}) {
      for (float& x : *stored) x = bf16_to_f32(f32_to_bf16(x));
    }
  }

  std::byte* block(int position) {
    return pool.data() + static_cast<std::size_t>(kPages[position / kPageTokens]) * block_bytes;
  }
};

struct Window {
  int first, last;
};

struct Queries {
  int count;
  std::vector<float> values;
  std::size_t stride;
  Queries(int n, int head_dim)
      : count(n), values(normal_values(static_cast<std::size_t>(n * (head_dim + 3)), 3)),
        stride(static_cast<std::size_t>(head_dim) + 3) {}
};

std::vector<float> attend(const KernelTable& table, Cache& cache, const Queries& queries, Window window) {
  AttendArgs args{};
  args.queries = queries.values.data();
  args.query_stride = queries.stride;
  args.n_queries = queries.count;
  args.head_dim = cache.head_dim;
  args.scale = 0.4f;
  args.first_position = window.first;
  args.last_position = window.last;
  args.pages = kPages;
  args.blocks = cache.pool.data();
  args.page_stride_bytes = cache.block_bytes;
  args.out_stride = (static_cast<std::size_t>(cache.head_dim) + 15) / 16 * 16 + 1;
  std::vector<float> out(static_cast<std::size_t>(queries.count) * args.out_stride, -3.0f);
  args.out = out.data();
  table.attend[static_cast<int>(cache.type)](args);
  return out;
}

/// Largest difference from a plain softmax in double precision.
double worst_error(const Cache& cache, const Queries& queries, Window window, const std::vector<float>& out) {
  const auto dim = static_cast<std::size_t>(cache.head_dim);
  const std::size_t out_stride = out.size() / static_cast<std::size_t>(queries.count);
  double worst = 0;
  for (std::size_t q = 0; q < static_cast<std::size_t>(queries.count); ++q) {
    std::vector<double> sums(dim, 0.0);
    std::vector<double> scores;
    double largest = -1e300, total = 0;
    for (int p = window.first; p <= window.last; ++p) {
      double score = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        score += static_cast<double>(queries.values[q * queries.stride + d]) *
                 static_cast<double>(cache.keys[static_cast<std::size_t>(p) * dim + d]);
      }
      scores.push_back(score * static_cast<double>(0.4f));
      largest = std::max(largest, scores.back());
    }
    for (int p = window.first; p <= window.last; ++p) {
      const double weight = std::exp(scores[static_cast<std::size_t>(p - window.first)] - largest);
      total += weight;
      for (std::size_t d = 0; d < dim; ++d) {
        sums[d] += weight * static_cast<double>(cache.values[static_cast<std::size_t>(p) * dim + d]);
      }
    }
    for (std::size_t d = 0; d < dim; ++d) {
      const double error = std::fabs(static_cast<double>(out[q * out_stride + d]) - sums[d] / total);
      worst = std::isnan(error) ? 1e300 : std::max(worst, error);
    }
  }
  return worst;
}

constexpr Window kWindows[] = {{0, 0},   {0, 1},   {0, 15},  {0, 16},   {0, 31},   {0, 32},    {0, 149},
                               {5, 5},   {31, 32}, {33, 95}, {63, 64},  {64, 127}, {100, 149}, {149, 149}};

}  // namespace

TEST_CASE("attention is a softmax over the window, whatever lies outside of it") {
  for (const KvType type : {KvType::kF32, KvType::kBf16}) {
    for (const int head_dim : {1, 8, 12, 15, 24, 64, 80, 96, 128}) {
      Cache cache(type, head_dim);
      const Queries queries(3, head_dim);
      for (const Window window : kWindows) {
        CAPTURE(static_cast<int>(type), head_dim, window.first, window.last);
        const auto out = attend(scalar_table(), cache, queries, window);
        CHECK(worst_error(cache, queries, window, out) < 4e-6);
        // Zeros up to a multiple of 16, nothing beyond.
        const std::size_t stride = out.size() / 3;
        for (std::size_t d = static_cast<std::size_t>(head_dim); d < stride - 1; ++d) CHECK(out[stride + d] == 0.0f);
        CHECK(out[2 * stride - 1] == -3.0f);
      }
    }
  }
}

TEST_CASE("every instruction set attends to the same bits, for any number of query heads") {
  for (const KernelTable* table : vector_tables()) {
    for (const KvType type : {KvType::kF32, KvType::kBf16}) {
      for (const int head_dim : {1, 8, 12, 24, 64, 80, 96, 128}) {
        Cache cache(type, head_dim);
        for (const int n_queries : {1, 2, 3, 4, 5, 8, 16, 35}) {
          const Queries queries(n_queries, head_dim);
          for (const Window window : kWindows) {
            if (n_queries > 5 && window.last != 149) continue;
            CAPTURE(table->name, static_cast<int>(type), head_dim, n_queries, window.first, window.last);
            if (!same_bits(attend(*table, cache, queries, window), attend(scalar_table(), cache, queries, window)))
              FAIL_CHECK("different bits");
          }
        }
      }
    }
  }
}

TEST_CASE("a query head's result does not depend on the heads beside it") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  for (const KernelTable* table : tables) {
    Cache cache(KvType::kBf16, 64);
    const Queries together(7, 64);
    const auto out = attend(*table, cache, together, {3, 140});
    const std::size_t stride = out.size() / 7;
    for (std::size_t q = 0; q < 7; ++q) {
      Queries alone(1, 64);
      std::copy_n(&together.values[q * together.stride], together.stride, alone.values.begin());
      const auto single = attend(*table, cache, alone, {3, 140});
      CAPTURE(table->name, q);
      CHECK(std::memcmp(single.data(), &out[q * stride], 64 * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("attention with scores far apart neither overflows nor gives NaN") {
  std::vector<const KernelTable*> tables = vector_tables();
  tables.push_back(&scalar_table());
  Cache cache(KvType::kF32, 16);
  Queries queries(2, 16);
  for (float& q : queries.values) q *= 1000.0f;
  for (const KernelTable* table : tables) {
    CAPTURE(table->name);
    CHECK(worst_error(cache, queries, {0, 149}, attend(*table, cache, queries, {0, 149})) < 2e-3);
  }
}
